"""A search on threads of this process, one of which is stuck; says what came of it.

python interrupted.py FOLDER TIMES
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV, Observer
from dhpo.cluster import interrupts


class Stuck(SGDClassifier):
    """Never comes back from its second call."""

    def __init__(self, folder: str = "") -> None:
        super().__init__(random_state=0)
        self.folder = folder

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        if hasattr(self, "coef_"):
            Path(self.folder, "stuck").touch()
            time.sleep(1e9)
        return super().partial_fit(X, y, classes=classes)


class SaysThatItEnds(Observer):
    def stop(self) -> None:
        Path(sys.argv[1], "stopping").touch()


def main() -> None:
    if sys.argv[2] == "2":
        interrupts._IDLE_SECONDS = 600.0  # the second comes while the thread is waited for
    X = np.random.default_rng(0).standard_normal((100, 5))
    search = GridSearchCV(
        Stuck(), {"folder": [sys.argv[1]]}, max_iter=2, random_state=0, verbose=0, callbacks=[SaysThatItEnds()]
    )
    try:
        search.fit(X, X[:, 0] > 0)
    except KeyboardInterrupt as error:
        print(error)


if __name__ == "__main__":
    main()
