"""IQL for the zoo: the algorithm `iql`."""
