"""SfBC for the zoo: the algorithm `sfbc`, its in-sample planning, the loss `regress`."""
