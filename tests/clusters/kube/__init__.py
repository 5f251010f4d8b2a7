"""A small Kubernetes of our own for tests, in memory and on loopback, with the real Dask operator beside it."""
