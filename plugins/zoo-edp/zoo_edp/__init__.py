"""EDP for the zoo: the algorithms `edp`, `edp_crr` and `edp_iql`, and their one-step losses."""
