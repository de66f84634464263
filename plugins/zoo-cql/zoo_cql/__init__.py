"""CQL for the zoo: the algorithm `cql` and its loss `cql_penalty`."""
