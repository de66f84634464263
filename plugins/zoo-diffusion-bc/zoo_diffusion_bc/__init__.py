"""Diffusion behaviour cloning for the zoo: the algorithm `diffusion_bc`."""
