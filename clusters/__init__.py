"""Dask clusters to search on, one module a kind; none knows what runs on it."""

from __future__ import annotations

from clusters.local import local

__all__ = ["local"]
