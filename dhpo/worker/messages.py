"""The messages between the driver and the steps that run on workers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.reader import BlockSpec
from dhpo.history.events import ModelState, StepStats
from dhpo.scoring import BlockScorer
from dhpo.storage.model_store import ModelStore
from dhpo.trainers import PartialFit, Trainer
from dhpo.worker.breadcrumbs import Crumb

__all__ = ["Context", "Outcome", "Step", "StepResult", "Work"]


@dataclass(frozen=True)
class Context:
    """What all steps of a search have in common; pickled once by the driver, unpickled once by each worker.

    Parameters
    ----------
    run : str
        Name of the search among those that a worker has seen.
    estimator : estimator
        Cloned for every trial.
    fit_kwargs : dict
        Extra arguments of every `partial_fit` call.
    classes_once : bool
        Whether `classes` go along with the first call of a model alone, as scikit-learn has it; to compare them anew
        with each call takes a sixth of the time of SGDClassifier.
    scorer : BlockScorer
        Of the metric that decides.
    order : PassOrder
    split : Split
    entropy : int
        Seed of the estimators.
    store : ModelStore or None
        None where workers and driver share no folder; models then travel with the steps.
    config : mapping
        The configuration of scikit-learn where the search was started.
    other_scorers : mapping of str to BlockScorer
        Of the other metrics.
    trial_timeout : float or None
        Seconds that a model may spend in `partial_fit` and scores.
    trainer : Trainer
        Brings models from one resource to another.
    """

    run: str
    estimator: Any
    fit_kwargs: dict[str, Any]
    classes_once: bool
    scorer: BlockScorer
    order: PassOrder
    split: Split
    entropy: int
    store: ModelStore | None
    config: Mapping[str, Any] = field(default_factory=dict)
    other_scorers: Mapping[str, BlockScorer] = field(default_factory=dict)
    trial_timeout: float | None = None
    trainer: Trainer = field(default_factory=PartialFit)


@dataclass(frozen=True)
class Work:
    """One model in a step: where it stands and where it goes.

    Parameters
    ----------
    state : ModelState
        How far it has come.
    params : dict
        Parameters of the trial.
    target : int
        Calls at which it is scored; one that has seen them is only scored.
    pickled : bytes or None
        The model itself, where there is no shared store.
    trial : int or None
        Number of its trial, which its seed comes from; None for that of the model.
    fold : int or None
        The fold that is left out of training, and scored on. None: train on what is not held out.
    scored : bool
        Whether the model is scored at its target.
    """

    state: ModelState
    params: dict[str, Any]
    target: int
    pickled: bytes | None = None
    trial: int | None = None
    fold: int | None = None
    scored: bool = True

    @property
    def model(self) -> int:
        """Its number: that of its trial, or of its trial and fold, see `dhpo.driver.folds`."""
        return self.state.model

    @property
    def start(self) -> int:
        """Calls that it has seen before the step."""
        return self.state.calls


@dataclass(frozen=True)
class Step:
    """A cohort and the blocks it goes over.

    Parameters
    ----------
    works : sequence of Work
    until : int
        No trial is trained beyond this many calls.
    blocks : mapping of int to BlockSpec
        The blocks that calls up to `until` see.
    validation : sequence of (sequence of BlockSpec)
        The validation data: each group of blocks is scored as one.
    seconds : float
        After about this time the step gives back the processor.
    memory_limit : int
        Bytes of the worker, for its cache.
    crumb : str
        The file of its breadcrumbs, see `dhpo.worker.breadcrumbs`. Default: one of its own, on the machine where it
        runs.
    """

    works: Sequence[Work]
    until: int
    blocks: Mapping[int, BlockSpec]
    validation: Sequence[Sequence[BlockSpec]]
    seconds: float
    memory_limit: int
    crumb: str = field(default_factory=lambda: f"dhpo-{uuid.uuid4().hex}.crumb")


@dataclass(frozen=True)
class Outcome:
    """What came of a model in a step.

    Parameters
    ----------
    state : ModelState
        How far it has come, also where it was not stored.
    score : float or None
        By the metric that decides; None where the model was not scored.
    others : dict of str to float
        By the other metrics.
    error : str or None
        The traceback, if it failed.
    pickled : bytes or None
        The pickled model, where there is no shared store.
    lost : bool
        Whether its model could not be read from the store, so that it has to begin anew.
    """

    state: ModelState
    score: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    pickled: bytes | None = None
    lost: bool = False

    @property
    def model(self) -> int:
        """The number of the model."""
        return self.state.model


@dataclass(frozen=True)
class StepResult:
    """What a step gives back to the driver: a few bytes for each trial.

    Parameters
    ----------
    outcomes : list of Outcome
    stats : StepStats
    died : Crumb or None
        The last note of an earlier run of this very step, whose worker died in it; nothing was done then.
    """

    outcomes: list[Outcome]
    stats: StepStats
    died: Crumb | None = None
