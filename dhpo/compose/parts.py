"""What a pipeline and a column transformer share: parts that are trained on one block after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, process_routing

from dhpo.compose.rules import Learning, ParameterPlace, is_fitted, learning_of

__all__ = ["NO_METADATA", "Metadata", "Part", "TrainedByParts", "add_partial_fit_routes", "routed"]


class Metadata(NamedTuple):
    """More arguments of one part, besides X and y."""

    learning: Mapping[str, Any]
    transform: Mapping[str, Any]


NO_METADATA = Metadata({}, {})


class TrainedByParts(ABC):
    """An estimator that consists of others, and learns block by block if all of them do."""

    @abstractmethod
    def check_steps(self) -> None:
        """Raise if a part cannot be trained block by block."""

    @abstractmethod
    def partial_fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Train all parts on a block, and return it transformed."""

    @abstractmethod
    def _check_parts(self, place: ParameterPlace, *, transforms: bool) -> None:
        """As `check_steps`, of an estimator that stands somewhere in another."""


class Part(NamedTuple):
    """A step, or the transformer of some columns."""

    name: str
    estimator: Any
    learning: Learning

    @classmethod
    def checked(cls, name: str, estimator: Any, place: ParameterPlace, *, transforms: bool) -> Part:
        """Return a part of what stands at `place`; raises TypeError or ValueError if it cannot be one."""
        within = place.within(name)
        if isinstance(estimator, TrainedByParts):
            estimator._check_parts(within, transforms=transforms)
            return cls(name, estimator, Learning.BY_BLOCK)
        return cls(name, estimator, learning_of(estimator, within, transforms=transforms))

    def after_a_block(self) -> Part:
        """What this is once it has seen a block."""
        return self._replace(learning=Learning.DONE) if self.learning is Learning.ONCE else self

    def learn(self, X: Any, y: Any, metadata: Metadata) -> None:
        """Train on a block."""
        if self.learning is Learning.BY_BLOCK:
            self.estimator.partial_fit(X, y, **metadata.learning)
        elif self.learning is Learning.ONCE and not self._has_learned():
            self.estimator.fit(X, y, **metadata.learning)

    def learn_and_transform(self, X: Any, y: Any, metadata: Metadata) -> Any:
        """Train on a block, and return it transformed."""
        if isinstance(self.estimator, TrainedByParts) and not metadata.transform:
            # Its own parts transform the block while they learn, and need not do so again.
            return self.estimator.partial_fit_transform(X, y, **metadata.learning)
        self.learn(X, y, metadata)
        return self.estimator.transform(X, **metadata.transform)

    def _has_learned(self) -> bool:
        # What needs no fit always counts as fitted, but may want to take note of the names of its columns.
        return get_tags(self.estimator).requires_fit and is_fitted(self.estimator)


def routed(owner: Any, params: Mapping[str, Any]) -> dict[str, Metadata]:
    """Give each part, by its name, the arguments of `partial_fit` that it has requested."""
    if not params:
        return {}
    return {
        name: Metadata({**methods.get("fit", {}), **methods.get("partial_fit", {})}, methods.get("transform", {}))
        for name, methods in process_routing(owner, "partial_fit", **params).items()
    }


def add_partial_fit_routes(router: MetadataRouter, parts: Iterable[tuple[str, Any]], last: str | None) -> None:
    """Tell a router of scikit-learn's what `partial_fit` calls of each part: of all but the last also `transform`."""
    estimators = dict(parts)
    for name, found in router:
        learning = "partial_fit" if hasattr(estimators[name], "partial_fit") else "fit"
        found.mapping.add(caller="partial_fit", callee=learning)
        if name != last:
            found.mapping.add(caller="partial_fit", callee="transform")
