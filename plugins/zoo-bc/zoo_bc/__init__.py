"""Behaviour cloning for the zoo: the algorithms `bc` (Gaussian) and `bc_deterministic`."""
