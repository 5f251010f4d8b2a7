"""The page of searches in Dask's own dashboard, and the same page on a journal.

What runs on the scheduler (`search_data`, `document`, `scheduler_page`) is sent there by value, because the scheduler's
environment may not have dhpo; it imports nothing of dhpo beside itself.
"""
