"""QGPO for the zoo: the algorithm `qgpo`, the losses `cep`, `support_td` and `held_out_nll`."""
