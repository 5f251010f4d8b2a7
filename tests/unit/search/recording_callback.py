"""A callback of scikit-learn's that remembers what it was told."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["RecordingCallback"]


class RecordingCallback:
    """Can be sent nowhere, and may ask for the end."""

    def __init__(self, stops_after: int = 99, fails_in: str = "") -> None:
        self.lock = threading.Lock()
        self.calls: list[tuple[Any, ...]] = []
        self.stops_after, self.fails_in = stops_after, fails_in

    def _record(self, name: str, context: Any, metadata: Any = None) -> None:
        self.calls.append((name, context.task_name, context.task_id, metadata))
        if name == self.fails_in:
            raise RuntimeError(f"no {name}")

    def setup(self, estimator: Any, context: Any) -> None:
        self._record("setup", context)

    def teardown(self, estimator: Any, context: Any) -> None:
        self._record("teardown", context)

    def on_fit_task_begin(self, estimator: Any, context: Any, *, metadata: Any = None) -> None:
        self._record("begin", context, metadata)

    def on_fit_task_end(self, estimator: Any, context: Any, *, metadata: Any = None) -> bool:
        self._record("end", context, metadata)
        return sum(name == "end" for name, *_ in self.calls) >= self.stops_after
