"""How a search begins with points of the user, and with what earlier searches have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from dhpo.driver.job import Job
from dhpo.errors import JournalError
from dhpo.history.events import StartedFrom, TrialStarted
from dhpo.journal import LISTS_BESIDE_CODE, EarlierSearch, Journal
from dhpo.journal.carry_over import Earlier, NewSearch, difference
from dhpo.samplers.base import Sampler
from dhpo.samplers.enqueued import Enqueued
from dhpo.samplers.grid import GridSampler
from dhpo.search.identity import identity_of_params
from dhpo.space.parameter_space import Space
from dhpo.space.seeds import entropy_of
from dhpo.wording import counted

__all__ = ["NO_POINTS_ON_A_GRID", "begun_from", "check_same_start", "inherited_entropy", "notes", "with_points"]

NO_POINTS_ON_A_GRID = (
    "enqueue= is for searches that sample: a grid tries all of its points. Add yours to its lists of values."
)


def with_points(sampler: Sampler, space: Space, enqueue: Any, estimator: Any, n_trials: int) -> Enqueued:
    """The sampler, which gives the first trials the points of the user.

    Parameters
    ----------
    sampler : Sampler
    space : Space
    enqueue : list of dict or None
    estimator : estimator
    n_trials : int
        Of the search.

    Raises
    ------
    TypeError, ValueError
        If points are not allowed, or not such ones.
    """
    if enqueue is None:
        return Enqueued(sampler, space, {})
    space.check_points(enqueue, estimator, n_trials)
    if isinstance(sampler, GridSampler):
        raise ValueError(NO_POINTS_ON_A_GRID)
    return Enqueued(sampler, space, dict(enumerate(enqueue)))


def begun_from(
    identity: Mapping[str, str], job: Job, space: Space, searches: Sequence[EarlierSearch]
) -> Earlier | None:
    """The earlier searches as the driver needs them; None where there are none.

    Parameters
    ----------
    identity : mapping of str to str
        Of the new search.
    job : Job
    space : Space
    searches : sequence of EarlierSearch
    """
    if not searches or not isinstance(job.sampler, Enqueued):
        return None
    own, n_trials = job.sampler.sampler, job.schedule.plan().n_trials
    draw = None if job.sampler.learns else own.ask
    takes_points = not isinstance(own, GridSampler)
    return Earlier(
        NewSearch(identity, job.entropy, space, n_trials, draw, takes_points, dict(job.sampler.points)), searches
    )


def inherited_entropy(search: Any, searches: Sequence[EarlierSearch]) -> int | None:
    """The seed of the first earlier search whose models this one could train on: with another seed it could not."""
    seeds = [one.entropy for one in searches if one.entropy is not None]
    of_same = (one.entropy for one in searches if not _difference(search, one, one.entropy)[0])
    return next(of_same, None) if seeds else None


def _difference(search: Any, earlier: EarlierSearch, entropy: int | None) -> tuple[str, str]:
    """What differs, as far as that is known before there is data."""
    unknown = {name: said for name, said in earlier.identity.items() if name != LISTS_BESIDE_CODE}
    return difference({**unknown, **identity_of_params(search)}, entropy, earlier)


def check_same_start(journal: Journal, searches: Sequence[EarlierSearch]) -> None:
    """Refuse to go on with a journal whose search did not start from others.

    Raises
    ------
    JournalError
    """
    events = journal.events
    begun = any(isinstance(event, TrialStarted) for event in events)
    if searches and begun and not any(isinstance(event, StartedFrom) for event in events):
        raise JournalError(
            f"{journal.url} is the journal of a search that was begun without start_from=: leave it out to go on with "
            "that search, or give another journal."
        )


def notes(search: Any, searches: Sequence[EarlierSearch], by_fits: bool | None = False) -> tuple[str, ...]:
    """What will be taken over from each earlier search, as far as that is known without the data.

    Parameters
    ----------
    search : estimator
    searches : sequence of EarlierSearch
    by_fits : bool or None, default False
        Whether the search fits candidates whole; None where its data tells.
    """
    said = []
    for earlier in searches:
        was_by_fits = earlier.history.by_fits
        # The seed of a search by whole fits only tells which candidates there are.
        entropy = earlier.entropy if was_by_fits else _entropy(search, searches)
        no_models, no_scores = _difference(search, earlier, entropy)
        if by_fits not in (None, was_by_fits):
            no_models = f"it {'fitted candidates whole' if was_by_fits else 'trained candidates block by block'}"
        elif was_by_fits:  # which leaves no models
            no_models = no_scores
        trials = counted(len(earlier.history.trials), "trial")
        if no_models:
            what = f"parameters alone: {no_models}"
        elif was_by_fits:
            what = f"the scores of {trials}, if the data and its splits are the same"
        elif no_scores:
            what = f"the models of {trials}, if the data is the same, and no scores: {no_scores}"
        else:
            what = f"the scores and models of {trials}, if the data is the same"
        said.append(f"from {earlier.source}: {what}")
    return tuple(said)


def _entropy(search: Any, searches: Sequence[EarlierSearch]) -> int | None:
    """The seed that a search would have; `fit` draws from a generator of the user, and this does not."""
    if search.random_state is None:
        return inherited_entropy(search, searches)
    return entropy_of(deepcopy(search.random_state))
