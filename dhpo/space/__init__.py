"""The search space, the range of each parameter, and the seeds of all that is drawn."""
