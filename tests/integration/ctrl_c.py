"""Searches on a cluster of worker processes, each of which is interrupted; says what came of them.

python ctrl_c.py FOLDER

A call on a worker holds while there is a file "hold" in the folder, and leaves a file "held" to say so.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from sklearn.linear_model import SGDClassifier

import dhpo
from dhpo.cluster import interrupts
from dhpo.history.events import Event, PhaseReached, Reported

X = np.random.default_rng(0).standard_normal((100, 5))
Y = (X[:, 0] > 0).astype(int)


def hold(folder: Path) -> None:
    while (folder / "hold").exists():
        (folder / "held").touch()
        time.sleep(0.02)


class Holds(SGDClassifier):
    """Holds at each call."""

    def __init__(self, folder: str = "", alpha: float = 1e-4) -> None:
        super().__init__(alpha=alpha, random_state=0)
        self.folder = folder

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        hold(Path(self.folder))
        return super().partial_fit(X, y, classes=classes)

    def fit(self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None) -> Any:
        hold(Path(self.folder))
        return super().fit(X, y)


class Holder(dhpo.Observer):
    """Has workers hold from some event on, and leaves a file "stopping" when the search ends."""

    def __init__(self, folder: Path, begins: Callable[[Event], bool]) -> None:
        self.folder = folder
        self.begins = begins

    def event(self, event: Event) -> None:
        if self.begins(event):
            (self.folder / "hold").touch()

    def stop(self) -> None:
        (self.folder / "stopping").touch()


def is_report(event: Event) -> bool:
    return isinstance(event, Reported)


def is_last_training(event: Event) -> bool:
    return isinstance(event, PhaseReached) and event.phase == "last training"


def is_first_pass(event: Event) -> bool:
    return isinstance(event, PhaseReached) and event.phase == "first pass"


class HoldsWhenRead:
    """An array whose rows are read by the workers."""

    shape, dtype, ndim = X.shape, X.dtype, 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, key: Any) -> Any:
        hold(self.folder)
        return X[key]


def main() -> None:
    folder = Path(sys.argv[1])
    space = {"alpha": list(np.logspace(-6, 0, 9))}
    lazy = da.from_array(X, chunks=(20, -1)), da.from_array(Y, chunks=20)
    journal = str(folder / "journal")
    common: dict[str, Any] = {"random_state": 0, "verbose": 0}

    def hyperband(begins: Callable[[Event], bool]) -> Any:
        return dhpo.HyperbandSearchCV(
            Holds(str(folder)), space, max_iter=9, callbacks=[Holder(folder, begins)], **common
        )

    def say(search: Any, fit: Callable[[], Any]) -> None:
        try:
            fit()
        except KeyboardInterrupt as error:
            print(f"{error} [{error.__context__}] {hasattr(search, 'best_score_')}", flush=True)
        while (folder / "hold").exists() or any(client.run(interrupts._is_busy).values()):
            time.sleep(0.02)
        (folder / "held").unlink(missing_ok=True)  # the last of this search
        print("ended", flush=True)

    interrupts._IDLE_SECONDS = 600.0  # until the calls have ended, or a second Ctrl-C
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        before = client.run(handler)
        client.run(have_no_grace)
        search = hyperband(is_report)
        say(search, lambda: search.fit(*lazy, journal=journal))
        search = hyperband(is_report)
        say(search, lambda: search.fit(*lazy))
        search = hyperband(is_first_pass)
        run = search.start(da.from_array(HoldsWhenRead(folder), chunks=(20, -1)), lazy[1])
        say(search, run.result)
        search = dhpo.GridSearchCV(Holds(str(folder)), space, cv=2, callbacks=[Holder(folder, is_report)], verbose=0)
        say(search, lambda: search.fit(X, Y))
        search = dhpo.GridSearchCV(
            Holds(str(folder)), space, max_iter=1, cv=2, callbacks=[Holder(folder, is_last_training)], **common
        )
        say(search, lambda: search.fit(*lazy))
        while client.run(handler) != before:
            time.sleep(0.02)
        print("heeds it again", flush=True)
        hyperband(is_report).fit(*lazy, journal=journal)


def handler() -> str:
    return repr(signal.getsignal(signal.SIGINT))


def have_no_grace() -> None:
    interrupts._GRACE_SECONDS = 0.0


if __name__ == "__main__":
    main()
