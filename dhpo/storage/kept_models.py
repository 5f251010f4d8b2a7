"""Which models of a search are worth keeping, and where they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dhpo.history.events import Checkpoint
from dhpo.storage.model_store import ModelStore
from dhpo.trial import Report

__all__ = ["KeptModels"]


class KeptModels:
    """The driver's index of the store; files that nothing refers to any more are deleted by `tidy`.

    Kept are, of each trial in training, the latest model and the one last scored (the search may be stopped between the
    two), and of all trials that ended, the best.

    Parameters
    ----------
    store : ModelStore
    keep_all : bool, default False
        Whether the last scored model of every trial is kept, also where another is better.
    """

    def __init__(self, store: ModelStore, keep_all: bool = False) -> None:
        self._store = store
        self._keep_all = keep_all
        self._latest: dict[int, Checkpoint] = {}
        self._scored: dict[int, Checkpoint] = {}
        self._references: Counter[str] = Counter()
        self._unused: list[str] = []
        self._best_ended: Report | None = None

    def latest(self, number: int) -> Checkpoint | None:
        """Where a model lies as it was last; None for one that was never trained."""
        return self._latest.get(number)

    def scored(self, number: int) -> Checkpoint | None:
        """Where a model lies as it was when it was scored last; None for one that was not, and for one that is gone."""
        return self._scored.get(number)

    def read(self, checkpoint: Checkpoint) -> bytes:
        """The bytes of a model."""
        return self._store.read(checkpoint)

    def write(self, number: int, calls: int, pickled: bytes) -> Checkpoint:
        """Store a model that came with a report."""
        return self._store.write({(number, calls): pickled})[number]

    def take_from(self, store: ModelStore, checkpoint: Checkpoint) -> None:
        """Have a model of another search here; it is kept once it is told as `trained`.

        Raises
        ------
        ModelLost
            If its file is gone.
        """
        if checkpoint.file not in self._references:
            self._store.take_from(store, checkpoint.file)
        self.discard(checkpoint)  # nobody may come to need it

    def trained(self, checkpoint: Checkpoint) -> None:
        """A model was trained further."""
        self._set(self._latest, checkpoint.model, checkpoint)

    def reported(self, report: Report) -> None:
        """The latest model of a trial was scored."""
        latest = self._latest.get(report.trial)
        if not report.failed and latest is not None:
            # The score may be that of an earlier search whose model is gone.
            self._set(self._scored, report.trial, latest if latest.calls == report.resource else None)

    def forget(self, number: int) -> None:
        """What a model was last is not needed any more, or is lost."""
        self._set(self._latest, number, None)

    def discard(self, checkpoint: Checkpoint) -> None:
        """A model that was just written is not needed."""
        if checkpoint.file not in self._references:
            self._unused.append(checkpoint.file)

    def ended(self, trial: int, last: Report | None) -> None:
        """A trial will never be trained again."""
        self._set(self._latest, trial, None)
        best = self._best_ended
        if last is None or last.failed:
            self._set(self._scored, trial, None)
        elif self._keep_all:
            return
        elif best is None or (last.score, -last.trial) > (best.score, -best.trial):
            self._best_ended = last
            if best is not None:
                self._set(self._scored, best.trial, None)
        else:
            self._set(self._scored, trial, None)

    def folds_ended(self, models: Iterable[int]) -> None:
        """The models of a trial, one for each fold, will never be trained again."""
        if not self._keep_all:
            for number in models:
                self._set(self._latest, number, None)

    def files(self) -> set[str]:
        """The files that are there, needed or not."""
        return self._store.files()

    def tidy(self) -> None:
        """Delete the files that are not needed any more."""
        unused, self._unused = self._unused, []
        for file in unused:
            if file not in self._references:  # another model of the same step may be needed since
                self._store.delete(file)

    def tidy_all(self) -> None:
        """Delete all files but those that are needed, whoever wrote them."""
        self._unused = [file for file in self._store.files() if file not in self._references]
        self.tidy()

    def _set(self, table: dict[int, Checkpoint], number: int, checkpoint: Checkpoint | None) -> None:
        old = table.pop(number, None)
        if checkpoint is not None:
            table[number] = checkpoint
            self._references[checkpoint.file] += 1
        if old is not None:
            self._references[old.file] -= 1
            if self._references[old.file] == 0:
                del self._references[old.file]
                self._unused.append(old.file)
