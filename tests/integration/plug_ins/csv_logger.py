"""An observer as a stranger would write it: a line of CSV for each score."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from dhpo import ObservedSearch, Observer
from dhpo.history.events import Event, Reported


class CSVLogger(Observer):
    """Writes trial, resource and score to a file, also those that a resumed search has from before."""

    def __init__(self, path: str, stop_after: int | None = None) -> None:
        self.path = path
        self.stop_after = stop_after

    def start(self, search: ObservedSearch) -> None:
        self._search, self._n_scores = search, 0
        self._file: Any = Path(self.path).open("w", newline="")  # noqa: SIM115 -- `stop` closes it
        self._writer = csv.writer(self._file)
        self._writer.writerow(["trial", "resource", "score"])

    def event(self, event: Event) -> None:
        if isinstance(event, Reported):
            report = event.report
            self._writer.writerow([report.trial, report.resource, repr(report.score)])
            self._n_scores += 1
            if self._n_scores == self.stop_after:
                self._search.stop()

    def stop(self) -> None:
        self._file.close()
