"""IDQL for the zoo: the algorithm `idql`."""
