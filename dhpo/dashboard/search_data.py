"""What the page knows of one search. This module is sent to the scheduler by value: it imports nothing of dhpo."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Any

__all__ = ["MOST_SCORES", "MOST_STEPS", "Latest", "SearchData"]

# More than that is not drawn.
MOST_SCORES, MOST_STEPS = 20_000, 4_000


class Latest:
    """The latest of many things, which are told apart by how many came before them.

    Parameters
    ----------
    most : int
        That are kept.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[Any] = deque(maxlen=most)
        self.count = 0

    def append(self, thing: Any) -> None:
        """Add one."""
        self._kept.append(thing)
        self.count += 1

    def since(self, seen: int) -> list[Any]:
        """Those that came after the first `seen`, as far as they are kept."""
        new = min(self.count - seen, len(self._kept))
        return list(islice(self._kept, len(self._kept) - new, None))

    def __getitem__(self, index: int) -> Any:
        return self._kept[index]

    def __bool__(self) -> bool:
        return bool(self._kept)


class SearchData:
    """Takes in the rows of `dhpo.dashboard.messages.Messages`.

    Parameters
    ----------
    name : str
        That tells it from other searches of the same title.

    Attributes
    ----------
    title : str
    counted : str
        "calls" of `partial_fit`, or "fits".
    brackets : list
        The number of each, and its rungs: trials and calls.
    scales : dict of str to str
        "log", "linear" or "category" for each parameter.
    state : dict
        How the search stands.
    trials : dict of int to dict
    segments : Latest of tuple
        (trial, bracket, resource and score before, resource and score) of each score.
    best : Latest of tuple
        (calls of the search, score) whenever there was a better score.
    steps : Latest of tuple
        (begin, end, worker, bracket, rung, trials, calls).
    reached : dict of tuple to int
        By bracket and resource: the trials that were scored there.
    version, trials_version : int
        They rise with each change, and with each of the trials.
    lock : threading.RLock
        Held by whoever reads or changes the above: since bokeh 3.10 viewers are served by threads of their own.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.title, self.counted = "", "calls"
        self.brackets: list[Any] = []
        self.scales: dict[str, str] = {}
        self.state: dict[str, Any] = {"status": "starting", "seconds": 0.0, "time": "", "over": False}
        self.trials: dict[int, dict[str, Any]] = {}
        self.segments = Latest(MOST_SCORES)
        self.best = Latest(MOST_STEPS)
        self.steps = Latest(MOST_STEPS)
        self.reached: dict[tuple[int, int], int] = {}
        self.version = self.trials_version = 0
        self.lock = threading.RLock()
        self._calls = 0
        self._ranked: tuple[int, list[dict[str, Any]]] = (-1, [])

    def take(self, rows: list[Any]) -> None:
        """Take rows in; those of a kind that is not known are of another version, and left out."""
        with self.lock:
            for kind, *values in rows:
                take = getattr(self, f"_take_{kind}", None)
                if take is not None:
                    take(*values)
            self.version += 1
            if any(kind != "state" for kind, *_ in rows) or self.state["over"]:
                self.trials_version += 1

    def ranked(self) -> list[dict[str, Any]]:
        """All trials with their ranks, as `summary()` of the search has them: the best first."""
        if self._ranked[0] != self.trials_version:
            self._ranked = self.trials_version, self._rank()
        return self._ranked[1]

    def _rank(self) -> list[dict[str, Any]]:
        scores = sorted((t["score"] for t in self.trials.values() if t["score"] is not None), reverse=True)
        ranks: dict[float, int] = {}
        for position, score in enumerate(scores, start=1):
            ranks.setdefault(score, position)
        rows = [{**t, "rank": None if t["score"] is None else ranks[t["score"]]} for t in self.trials.values()]
        return sorted(rows, key=lambda t: (t["rank"] or len(rows) + 1, t["status"] == "failed", t["trial"]))

    @property
    def best_trial(self) -> dict[str, Any] | None:
        """The trial with the highest last score."""
        ranked = self.ranked()
        return ranked[0] if ranked and ranked[0]["score"] is not None else None

    def _take_plan(self, title: str, counted: str, brackets: list[Any], scales: dict[str, str]) -> None:
        self.title, self.counted, self.brackets, self.scales = title, counted, brackets, scales

    def _take_state(self, state: dict[str, Any]) -> None:
        self.state = state
        if state["over"]:
            for trial in self.trials.values():
                if trial["status"] in ("running", "waiting"):
                    trial["status"] = "stopped"

    def _take_trial(self, number: int, bracket: int, params: dict[str, Any]) -> None:
        self.trials[number] = {
            "trial": number,
            "bracket": bracket,
            "rung": 0,
            "params": params,
            "resource": 0,
            "scored_at": 0,
            "score": None,
            "status": "waiting",
            "seconds": 0.0,
            "worker": "",
            "error": "",
        }

    def _take_rung(self, number: int, rung: int) -> None:
        self.trials[number]["rung"] = rung

    def _take_report(
        self, number: int, resource: int, score: float | None, time: float, seconds: float, error: str, failed: bool
    ) -> None:
        trial = self.trials[number]
        if score is not None:
            before = (trial["scored_at"], trial["score"]) if trial["score"] is not None else (resource, score)
            self.segments.append((number, trial["bracket"], *before, resource, score))
            calls = self._calls + max(resource - trial["resource"], 0)
            if not self.best or score > self.best[-1][1]:
                self.best.append((calls, score))
        key = trial["bracket"], resource
        self.reached[key] = self.reached.get(key, 0) + 1
        self._reach(trial, resource)
        trial["seconds"] += seconds
        trial.update(score=score, scored_at=resource, error=error)
        if failed:
            trial["status"] = "failed"

    def _take_drop(self, number: int, reason: str) -> None:
        if self.trials[number]["status"] != "failed":
            self.trials[number]["status"] = reason

    def _take_step(
        self, begin: float, end: float, worker: str, bracket: int, rung: int, calls: int, progress: list[Any]
    ) -> None:
        for number, seen in progress:
            trial = self.trials.get(number)
            if trial is not None:
                self._reach(trial, seen)
                trial["worker"] = worker
                if trial["status"] in ("waiting", "stopped"):
                    trial["status"] = "running"
        self.steps.append((begin, end, worker or "?", bracket, rung, len(progress), calls))

    def _reach(self, trial: dict[str, Any], resource: int) -> None:
        """A trial was trained so far; also ahead of a promotion, of which only its report tells."""
        self._calls += max(resource - trial["resource"], 0)
        trial["resource"] = max(trial["resource"], resource)
