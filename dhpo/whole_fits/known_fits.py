"""The fits that earlier searches have done for candidates of this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dhpo.history.events import FitDone
from dhpo.journal import EarlierSearch
from dhpo.journal.carry_over import known_params
from dhpo.trial import Params

__all__ = ["KnownFits"]


class KnownFits:
    """Finds the fits of candidates with the same parameters that did not fail.

    Parameters
    ----------
    searches : iterable of EarlierSearch
        By whole fits, of the same estimator on the same splits of the same data, scored alike.
    """

    def __init__(self, searches: Iterable[EarlierSearch]) -> None:
        self._fits: dict[str, dict[int, tuple[str, FitDone]]] = {}
        for search in searches:
            named = {trial.number: known_params(trial.params) for trial in search.history.trials}
            for event in search.history.events:
                if isinstance(event, FitDone) and event.scores.error is None and not event.failures:
                    of_params = self._fits.setdefault(named[event.candidate], {})
                    of_params.setdefault(event.split, (search.source, event))

    def fits(self, candidate: int, params: Params) -> dict[int, tuple[str, FitDone]]:
        """The source and the fit of a candidate by split of the data."""
        found = self._fits.get(known_params(params), {})
        return {split: (source, replace(done, candidate=candidate)) for split, (source, done) in found.items()}
