"""A search on threads of this process, one of which is stuck; says what came of it.

python interrupted.py FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV


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


def main() -> None:
    X = np.random.default_rng(0).standard_normal((100, 5))
    search = GridSearchCV(Stuck(), {"folder": [sys.argv[1]]}, max_iter=2, random_state=0, verbose=0)
    try:
        search.fit(X, X[:, 0] > 0)
    except KeyboardInterrupt:
        print("interrupted")


if __name__ == "__main__":
    main()
