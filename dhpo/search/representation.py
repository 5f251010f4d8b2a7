"""How a search shows itself at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from dhpo.history.history import History
from dhpo.views.html import outcome_html
from dhpo.views.text import outcome_lines

__all__ = ["ShowsItself"]


class ShowsItself(BaseEstimator):
    """The part of a search that shows what scikit-learn shows of an estimator, and what came of it once it is over."""

    _history: History

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """The parameters, as scikit-learn shows them, and what came of the search once it is over."""
        lines: list[str] = [super().__repr__(N_CHAR_MAX)]
        return "\n".join([*lines, *self._outcome()] if self._is_over else lines)

    def _outcome(self) -> list[str]:
        # What a callable `refit` has chosen is not what the history takes for the best.
        return outcome_lines(self._history, with_best=not callable(getattr(self, "refit", None)))

    @property
    def _repr_html_(self) -> Callable[[], str]:
        inner: Callable[[], str] = super()._repr_html_  # raises where scikit-learn's `display` is "text"
        return lambda: inner() + (outcome_html(self._outcome()) if self._is_over else "")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and self._is_over:
            bundle["text/html"] += outcome_html(self._outcome())
        return bundle

    @property
    def _is_over(self) -> bool:
        return "history_" in vars(self) and self._history.over
