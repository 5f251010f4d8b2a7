"""Settings of Dask under which its processes do less beside the work."""

from __future__ import annotations

import dask

__all__ = ["quiet_settings"]

# How often the processes of a cluster look at themselves, for the dashboard. By default Dask does so a hundred times a
# second, which takes some 7 % of a core for each process, whether it works or not. The second is for tasks of seconds.
_INTERVALS = {
    "distributed.worker.profile.interval": ("10ms", "100ms"),
    "distributed.admin.tick.interval": ("20ms", "200ms"),
    "distributed.admin.system-monitor.interval": ("500ms", "2s"),
}


def quiet_settings() -> dict[str, str]:
    """Those that the user has not set to something else than Dask itself does."""
    return {name: quiet for name, (default, quiet) in _INTERVALS.items() if dask.config.get(name, default) == default}
