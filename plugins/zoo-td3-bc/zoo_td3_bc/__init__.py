"""TD3+BC for the zoo: the algorithm `td3_bc`."""
