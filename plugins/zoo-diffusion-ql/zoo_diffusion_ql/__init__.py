"""Diffusion Q-learning for the zoo: the algorithm `diffusion_ql`."""
