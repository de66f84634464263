"""Makes runs: one process a job, whatever happens to it."""
