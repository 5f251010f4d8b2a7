"""Loaded by the operator: it tries again after seconds, where it waits for a minute by default."""

from __future__ import annotations

from typing import Any

import kopf


@kopf.on.startup()
def try_again_soon(settings: kopf.OperatorSettings, **_: Any) -> None:
    """What an operator does that came too late, it does again; the test that sees to it need not wait a minute."""
    settings.execution.default_backoff = 3.0
