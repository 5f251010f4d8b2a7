"""What can happen in a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dhpo.history.judgement import BestJudged
from dhpo.schedules.plan import Plan
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Drop, Params, Report, Train, Trial

__all__ = [
    "BestJudged",
    "Checkpoint",
    "DataPrepared",
    "Dropped",
    "Event",
    "FitDone",
    "ModelState",
    "PhaseReached",
    "Planned",
    "Promoted",
    "Refitted",
    "Reported",
    "Reused",
    "SplitScores",
    "StartedFrom",
    "StepDone",
    "StepStats",
    "Stopped",
    "ThreadsCounted",
    "TrialStarted",
]


@dataclass(frozen=True, slots=True)
class Planned:
    """What the search will run when nothing fails and nothing stops early.

    Parameters
    ----------
    plan : Plan
    time : float
        Seconds since the search began, here and in the other events.
    title : str
        The class of the search, and that of its estimator.
    scales : mapping of str to str
        How each parameter is best drawn: "log", "linear" or "category".
    ranges : mapping of str to ParameterRange
        The values that each parameter may take; none in a journal that does not tell.
    began : float, optional
        When the search began, in seconds since 1970 UTC, by the clock of its process. None in a journal that does not
        tell.
    """

    plan: Plan
    time: float
    title: str = ""
    scales: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, ParameterRange] = field(default_factory=dict)
    began: float | None = None


@dataclass(frozen=True, slots=True)
class PhaseReached:
    """What the search is doing now, other than one trial after the other.

    Parameters
    ----------
    phase : str
        "starting workers"; "first pass" over the data, or "collecting the data" where trials are fitted whole;
        "training" of the trials; "last training" of the best, on all rows; or "judging the best" by the rows held out.
    time : float
    done, total : int
        Blocks that were looked at in the first pass, and all of them; 0 where there is nothing to count.
    """

    phase: str
    time: float
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class DataPrepared:
    """Every block was looked at once: validation rows held out, classes found, rows copied where that pays.

    Parameters
    ----------
    n_blocks, n_training, n_validation : int
        Blocks; rows to train on; rows to score on.
    nbytes : int
        Bytes of the training rows in memory.
    materialised : int
        Blocks whose training rows were copied to scratch space.
    time : float
    digest : str
        Hash of all rows, where the search has a journal.
    """

    n_blocks: int
    n_training: int
    n_validation: int
    nbytes: int
    materialised: int
    time: float
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ThreadsCounted:
    """The threads of the cluster were counted before the first trial, for a schedule that follows their number.

    Parameters
    ----------
    n_threads : int
    time : float
    """

    n_threads: int
    time: float


@dataclass(frozen=True, slots=True)
class StartedFrom:
    """What is taken over from an earlier search was decided, before the first trial.

    Parameters
    ----------
    source : str
        The journal of the earlier search, or its class.
    models, scores : bool
        Whether models are trained on from where they stand, and scores are not computed again, where a trial is the
        same.
    why : str
        Where not, what is different.
    points : mapping of int to mapping
        Parameters that trials of this search get from it, by the number of the trial.
    learned : tuple of (mapping, float)
        Parameters and how good they were, that a sampler begins with.
    time : float
    """

    source: str
    models: bool
    scores: bool
    why: str
    points: Mapping[int, Params]
    learned: tuple[tuple[Params, float], ...]
    time: float


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A schedule asked for a new trial, and a sampler gave it its parameters.

    Parameters
    ----------
    trial : Trial
    time : float
    train : Train, optional
        What the schedule asked for; None where trials are fitted whole.
    """

    trial: Trial
    time: float
    train: Train | None = None


@dataclass(frozen=True, slots=True)
class Promoted:
    """A schedule asked for more training of a trial that it knows."""

    train: Train
    time: float


@dataclass(frozen=True, slots=True)
class SplitScores:
    """What came of a trial on one split of the data: the hold-out, or one fold of a cross-validation.

    Parameters
    ----------
    test : mapping of str to float
        The score by metric; the only metric of a search is called "score". Not a number where the trial failed.
    train : mapping of str to float, optional
        The same on the training rows, where it was asked for.
    fit_time, score_time : float
        Seconds.
    error : str, optional
        The traceback, if the trial failed on this split.
    """

    test: Mapping[str, float]
    train: Mapping[str, float] | None = None
    fit_time: float = 0.0
    score_time: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial was scored, or failed.

    Parameters
    ----------
    report : Report
        Its score is the mean over the splits of the metric that decides.
    time : float
    splits : tuple of SplitScores
        One for each split of the data; none where the trial failed before it came to any.
    """

    report: Report
    time: float
    splits: tuple[SplitScores, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the trial failed, also where it has a score: that which `error_score` gives to failures."""
        return self.report.failed or (bool(self.splits) and all(split.error is not None for split in self.splits))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A schedule gave up a trial, or is done with it."""

    drop: Drop
    time: float


@dataclass(frozen=True, slots=True)
class StepStats:
    """What one step cost.

    Parameters
    ----------
    calls : int
        `partial_fit` calls made.
    blocks_read : int
        Training blocks loaded from their source or from scratch space, not from the cache of the worker.
    blocks_cached : int
        Training blocks found in the cache.
    bytes_read : int
        Bytes of all blocks loaded, training and validation.
    validation_blocks_read : int
        Validation blocks loaded, not from the cache.
    fit_seconds, score_seconds, load_seconds, store_seconds, seconds : float
        Thread seconds in `partial_fit`, scoring, waiting for blocks and writing models; wall seconds of the step.
    useful_cpu : float
        CPU seconds of the step's own thread in `partial_fit` and scoring.
    read_seconds : float
        Seconds in which training blocks were loaded, most of them while models were trained on the one before.
    """

    calls: int = 0
    blocks_read: int = 0
    blocks_cached: int = 0
    bytes_read: int = 0
    validation_blocks_read: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    load_seconds: float = 0.0
    store_seconds: float = 0.0
    seconds: float = 0.0
    useful_cpu: float = 0.0
    read_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a model lies, as it was after `calls` calls.

    Parameters
    ----------
    model, calls : int
        Its number, that of its trial where there are no folds; and the calls.
    file : str
        Name of the file in the store.
    offset, length : int
        The bytes of the model in it.
    digest : str
        Hash of these bytes.
    """

    model: int
    calls: int
    file: str
    offset: int
    length: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ModelState:
    """How far one model has come, wherever it is told: to a worker, by a worker, and in the history.

    Parameters
    ----------
    model : int
        Its number: of its trial, or of its trial and fold, see `dhpo.driver.folds`.
    calls : int
        `partial_fit` calls that it has seen.
    checkpoint : Checkpoint or None
        Where it lies; None for a new one, and for one that failed at its first call.
    fit_seconds, score_seconds : float
        Spent on it in `partial_fit` and scores, in all.
    writes : bool
        Whether it is known to write into the rows that it is given, so that it gets its own copies of them.
    """

    model: int
    calls: int = 0
    checkpoint: Checkpoint | None = None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    writes: bool = False

    @property
    def spent(self) -> float:
        """Seconds in `partial_fit` and scores."""
        return self.fit_seconds + self.score_seconds


@dataclass(frozen=True, slots=True)
class StepDone:
    """One Dask task came back.

    Parameters
    ----------
    progress : dict of int to int
        The calls that each of its trials has seen now.
    stats : StepStats
    time : float
    models : tuple of ModelState
        None where trials are fitted whole.
    worker : str
        The name of the worker that it ran on.
    """

    progress: dict[int, int]
    stats: StepStats
    time: float
    models: tuple[ModelState, ...] = ()
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Reused:
    """What an earlier search has done for a trial is taken over.

    Parameters
    ----------
    trial, resource : int
        The trial has seen so many calls by that.
    source : str
        The journal of the earlier search.
    time : float
    models : tuple of ModelState
        That were taken over; none where a score was taken over whose model is gone.
    """

    trial: int
    resource: int
    source: str
    time: float
    models: tuple[ModelState, ...] = ()


@dataclass(frozen=True, slots=True)
class FitDone:
    """A candidate was fitted whole on one split, and scored.

    Parameters
    ----------
    candidate, split : int
    scores : SplitScores
    time : float
    several : bool
        Whether the scorer returned a mapping.
    failures : tuple of str
        The traceback of each scorer that failed.
    """

    candidate: int
    split: int
    scores: SplitScores
    time: float
    several: bool = False
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refitted:
    """The best trial so far was trained once more, on all rows.

    Parameters
    ----------
    trial : int
    checkpoint : Checkpoint
    time : float
    seconds : float
        That a whole fit took.
    """

    trial: int
    checkpoint: Checkpoint
    time: float
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """The search ended.

    Parameters
    ----------
    reason : str
        "done", "stopped" by the user, "time budget" where that was over, or "failed".
    time : float
    error : str
        The type and the message of what a search has failed by; else empty.
    """

    reason: str
    time: float
    error: str = ""

    @property
    def why(self) -> str:
        """The error in one line: its first one, and its last where that says what the first only announces."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()] or [""]
        first, *others = lines
        if first.startswith('File "'):  # of a SyntaxError
            return lines[-1]
        if others and first.endswith(":") and " " not in first:  # the message begins on a line of its own
            first = f"{first} {others.pop(0)}"
        return f"{first} {others[-1]}" if others and first.endswith(":") else first


Event = (
    Planned
    | PhaseReached
    | DataPrepared
    | ThreadsCounted
    | StartedFrom
    | TrialStarted
    | Promoted
    | Reported
    | Dropped
    | StepDone
    | Reused
    | FitDone
    | Refitted
    | BestJudged
    | Stopped
)
