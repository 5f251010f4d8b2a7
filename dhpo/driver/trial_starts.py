"""How trials that are asked for get their parameters: from a sampler, from the user, or from an earlier search."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dhpo.driver.trial_progress import TrialProgress
from dhpo.driver.trial_table import TrialTable
from dhpo.history.events import Event, StartedFrom, TrialStarted
from dhpo.samplers.asking import Asking
from dhpo.samplers.base import Sampler
from dhpo.samplers.enqueued import Enqueued
from dhpo.trial import Drop, Params, Report, Trial

__all__ = ["TrialStarts"]


class TrialStarts:
    """Asks the sampler as late as it can, for its answers rest on all reports until then, and tells it of these.

    Parameters
    ----------
    sampler : Sampler
    trials : TrialTable
        Where the trials stand.
    append : callable
        Adds an event to the history.
    now : callable
        Returns the seconds since the search began, for the events.

    Attributes
    ----------
    asking : Asking
        Of the sampler.
    """

    def __init__(
        self, sampler: Sampler, trials: TrialTable, append: Callable[[Event], None], now: Callable[[], float]
    ) -> None:
        self.asking = Asking(sampler)
        self._sampler = sampler
        self._trials = trials
        self._append = append
        self._now = now

    @property
    def wait_for_reports(self) -> bool:
        """Whether a sampler that learns has yet to draw trials: the more reports there are by then, the better."""
        return self._learns and any(active.train is not None for active in self._trials)

    @property
    def _learns(self) -> bool:
        return bool(getattr(self._sampler, "learns", False))

    def is_begun(self, model: int) -> bool:
        """Whether the trial of a model has parameters."""
        return self._trials.of_model(model)[0].train is None

    def rests_on_no_report(self, trial: int) -> bool:
        """Whether the parameters of a trial are the same whenever it is begun."""
        return not self._learns or trial in getattr(self._sampler, "points", ())

    def begin(self, models: Iterable[int]) -> None:
        """Draw the parameters of the trials that these models are of, where that was not done yet."""
        for number in models:
            self.begin_trial(self._trials.of_model(number)[0])

    def begin_trial(self, active: TrialProgress) -> None:
        """Draw the parameters of a trial, where that was not done yet."""
        if active.train is not None:
            self._draw(active, self.asking.ask(active.train.trial))

    def _draw(self, active: TrialProgress, params: Params) -> None:
        train = active.train
        if train is not None:
            trial = Trial(train.trial, params, train.bracket)
            self._append(TrialStarted(trial, self._now(), train))
            self.started(trial)

    def started(self, trial: Trial) -> None:
        """A trial that was asked for has parameters."""
        active = self._trials[trial.number]
        active.trial, active.train = trial, None

    def take_asked(self) -> None:
        """Take up the trial that was drawn in a thread, if there is one."""
        if (asked := self.asking.taken()) is not None:
            number, params = asked
            self._draw(self._trials[number], params)

    def ask_ahead(self, n_threads: int, call_seconds: float | None) -> None:
        """Have the next trial drawn while all threads are busy, where they would wait for it.

        Parameters
        ----------
        n_threads : int
            Of the cluster.
        call_seconds : float or None
            That a call takes; None where that is not known.
        """
        undrawn = next((active for active in self._trials if active.train is not None), None)
        if self.asking.under_way or undrawn is None or call_seconds is None:
            return
        n_ahead = self.asking.n_ahead(n_threads, call_seconds * undrawn.target)
        if sum(active.waits_for_its_first_step for active in self._trials) < n_ahead:
            self.asking.begin(undrawn.trial.number)

    def start_from(self, event: StartedFrom) -> None:
        """What trials and the sampler get from an earlier search was decided.

        Raises
        ------
        TypeError
            If the sampler was not made for that.
        """
        if event.points:
            if not isinstance(self._sampler, Enqueued):
                raise TypeError("the sampler of a search that starts from another one has to be Enqueued")
            self._sampler.points.update(event.points)
        if event.learned and hasattr(self._sampler, "learn_from"):
            self._sampler.learn_from(event.learned)

    def tell(self, report: Report) -> None:
        """Tell the sampler that a trial was scored, or failed."""
        if not self.asking.given_up:
            self._sampler.tell(report)

    def drop(self, drop: Drop) -> None:
        """Tell the sampler that a trial was given up, if it wants to know."""
        if hasattr(self._sampler, "drop") and not self.asking.given_up:
            self._sampler.drop(drop)
