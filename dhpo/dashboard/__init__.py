"""The page of searches in Dask's own dashboard.

What runs on the scheduler (`search_data`, `score_axis`, `panels`, `document`, `scheduler_page`) is sent there by value,
because the scheduler's environment may not have dhpo; it imports nothing of dhpo beside itself.
"""
