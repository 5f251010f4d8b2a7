"""A ledger without a cluster: what comes back from workers is made up by the test."""

from __future__ import annotations

from dhpo.driver.folds import Folds
from dhpo.driver.ledger import Ledger
from dhpo.history.events import ModelState
from dhpo.samplers import GridSampler
from dhpo.scoring import Metrics
from dhpo.space.parameter_space import Space
from dhpo.storage.kept_models import KeptModels
from dhpo.storage.model_store import ModelStore
from dhpo.worker.messages import Outcome


class LedgerAlone:
    """A ledger, with what it needs, and the events that it has told of."""

    def __init__(self, folder, schedule, n_folds=0):
        self.store = ModelStore(str(folder))
        self.kept = KeptModels(self.store)
        self.schedule = schedule
        self.sampler = GridSampler(Space({"alpha": [i / 10 for i in range(schedule.plan().n_trials)]}))
        self.events = []
        metrics = Metrics({"score": None}, "score")
        self.ledger = Ledger(
            schedule, self.sampler, metrics, Folds(n_folds), self.kept, self.events.append, lambda: 0.0
        )

    def come_back(self, model, calls, score=None, error=None, checkpoint=None):
        """Have a model come back from a step, in which it took some time."""
        before = self.ledger.work(model, with_model=False).state
        spent = before.fit_seconds + 0.5, before.score_seconds + 0.125
        outcome = Outcome(ModelState(model, calls, checkpoint, *spent), score, error=error)
        self.ledger.advanced(outcome, "worker")
        self.ledger.settled(outcome)
