"""BCQ for the zoo: the algorithm `bcq`, the sampler `perturbed`, the loss `dpg`."""
