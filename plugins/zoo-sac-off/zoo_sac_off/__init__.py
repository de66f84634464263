"""SAC on logged data for the zoo: the algorithm `sac_off`."""
