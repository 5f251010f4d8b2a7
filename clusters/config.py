"""What all configurations share: their keys, what of a cluster they mean, and errors that name the nearest key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from clusters.errors import ConfigError
from clusters.tls import TlsChoice
from clusters.values import Bytes, Count, Environment, HostAndPort, Name, Seconds, Workers

__all__ = ["ClusterConfig", "Section", "explain", "unknown_key"]

# Their values stay out of messages.
_SECRET = {"env", "security"}


class Section(BaseModel):
    """A group of keys. Unknown ones are refused by name; a hyphen may stand for an underscore, as in Dask's files."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        keys = {str(key).replace("-", "_"): value for key, value in given.items()}
        for key in keys:
            if key not in cls.model_fields:
                raise ValueError(unknown_key(key, cls.model_fields))
        return keys


class ClusterConfig(Section):
    """The keys that clusters of every kind share.

    A kind derives its own from it, with the block of its back end in a field of the kind's name.

    Examples
    --------
    >>> import clusters
    >>> config = clusters.configure("local", workers=2, memory="1GB")
    >>> isinstance(config, clusters.ClusterConfig), config.workers, config.memory
    (True, 2, 1000000000)
    """

    kind: str = Field(description="the kind of cluster")
    workers: Workers | None = Field(default=None, description="number of workers, or (fewest, most) to adapt between")
    threads: Count = Field(default=1, description="threads of each worker")
    memory: Bytes | None = Field(default=None, description="memory limit of each worker, such as '4GiB'")
    python: Name | None = Field(default=None, description="the Python that runs scheduler and workers")
    image: Name | None = Field(default=None, description="the container image that runs scheduler and workers")
    env: Environment = Field(
        default={},
        description="environment variables of the workers; a name without a value takes the value it has here",
    )
    security: TlsChoice = Field(
        default=None,
        description="TLS: True for certificates of this cluster alone, {ca_file, cert, key} for yours, False for none",
    )
    idle_timeout: Seconds | None = Field(
        default=None, description="the cluster ends itself after so long without work, such as '1 hour'"
    )
    dashboard: HostAndPort | None = Field(
        default="127.0.0.1:0",
        description="'host:port' of the dashboard where the scheduler runs; port 0 takes a free one, None starts none",
    )
    start_timeout: Seconds = Field(
        default=60.0, description="the time a start may take until it is an error, such as '2 minutes'"
    )

    unused: ClassVar[Mapping[str, str]] = {}
    """Shared keys that mean nothing to this kind, and what to do instead."""

    @model_validator(mode="after")
    def _only_what_counts(self) -> Self:
        for key, instead in self.unused.items():
            if key in self.model_fields_set and getattr(self, key) is not None:
                raise ValueError(f"{key}: means nothing to a cluster of kind {self.kind}; {instead}")
        return self

    @property
    def adapts(self) -> bool:
        """Whether the number of workers follows the work."""
        return isinstance(self.workers, tuple)

    @property
    def least(self) -> int | None:
        """The number of workers to start with; None where the kind decides."""
        return self.workers[0] if isinstance(self.workers, tuple) else self.workers

    @property
    def most(self) -> int | None:
        """The largest number of workers; None where the kind decides."""
        return self.workers[1] if isinstance(self.workers, tuple) else self.workers

    @property
    def within(self) -> float:
        """Seconds that a start, or a look at what stands in its way, may take."""
        return self.start_timeout

    def environment(self) -> dict[str, str]:
        """The environment variables, in clear."""
        return {name: value.get_secret_value() for name, value in self.env.items()}


def unknown_key(key: str, known: Iterable[str], what: str = "key") -> str:
    """Say that a key is unknown, and which one was probably meant."""
    known = sorted(known)
    nearest = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(known) or 'none'}"
    return f"unknown {what} {key!r}; {hint}"


def explain(error: ValidationError, config: type[ClusterConfig], source: str) -> ConfigError:
    """The error of pydantic in our words: which key, what was given, what is allowed."""
    block = config.model_fields["kind"].default
    lines = []
    for found in error.errors(include_url=False):
        path = [part for part in found["loc"] if part != block]
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        text = found["msg"].removeprefix("Value error, ")
        if found["type"] == "missing":
            text = f"{name}: missing; {_description(config, path)}"
        elif path and (path[0] in _SECRET or isinstance(found["input"], Mapping | SecretStr)):
            text = f"{name}: {text}"
        elif path:
            text = f"{name}={found['input']!r}: {text}"
        lines.append(text)
    return ConfigError(f"{source}: " + "\n".join(lines))


def _description(config: type[ClusterConfig], path: list[int | str]) -> str:
    block = config.model_fields.get(config.model_fields["kind"].default)
    options = block.annotation if block else None
    for model in (config, options):
        if isinstance(model, type) and issubclass(model, BaseModel) and path and path[-1] in model.model_fields:
            return model.model_fields[str(path[-1])].description or "is needed"
    return "is needed"
