"""Whether results hold: runs made again, and stores held against each other."""
