"""Runs a script whose searches use the cluster at DASK_SCHEDULER_ADDRESS: on_cluster.py SCRIPT [ARGUMENT]..."""

from __future__ import annotations

import runpy
import sys

import dask.config
from distributed import Client


def main(script: str, *arguments: str) -> None:
    """Run the script as if it were the main one, with a client of the cluster as the current one."""
    # Client() without an address would start a cluster of its own, open to the network.
    with Client(dask.config.get("scheduler-address"), timeout="60s") as client:
        client.wait_for_workers(1, timeout=60)
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
