"""Loaded by the operator: it tries again, and looks again, after seconds; by default it waits for a minute."""

from __future__ import annotations

from typing import Any

import kopf


@kopf.on.startup()
def wait_for_seconds(settings: kopf.OperatorSettings, **_: Any) -> None:
    """What an operator does that came too late, it does again; the test that sees to it need not wait a minute."""
    settings.execution.default_backoff = 3.0
    # A cluster that is deleted while its timer runs.
    settings.background.cancellation_polling = 1.0
