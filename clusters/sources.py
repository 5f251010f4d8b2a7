"""Where configurations come from: keywords, YAML files, and Dask's own configuration with its profiles and defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import yaml
from pydantic import BaseModel, ValidationError

from clusters.config import ClusterConfig, explain, unknown_key
from clusters.errors import ConfigError
from clusters.kinds import HOMES, Kind, kind_named

__all__ = ["configure", "load"]

_DEFAULTS = "dhpo.clusters.defaults"
_PROFILES = "dhpo.clusters.profiles"


def configure(kind: str, /, **options: Any) -> ClusterConfig:
    """The validated configuration of a cluster; nothing is started.

    Parameters
    ----------
    kind : str
        The kind of cluster, such as "local" or "ssh".
    **options
        The keys that all kinds share and those of the kind's own block, side by side. What is not said here comes from
        `dhpo.clusters.defaults.<kind>` of Dask's configuration, and else from the kind.

    Returns
    -------
    ClusterConfig
        Immutable; `start`, `render` and `check` take it.

    Raises
    ------
    ConfigError
        If a key is unknown, missing, or has a value that is not allowed.

    Examples
    --------
    >>> import clusters
    >>> config = clusters.configure("local", workers=2, memory="1GiB")
    >>> config.workers, config.memory
    (2, 1073741824)
    >>> clusters.configure("local", worker=2)
    Traceback (most recent call last):
        ...
    clusters.errors.ConfigError: local cluster: unknown key 'worker'; did you mean 'workers'?
    """
    return _validated(kind, [(f"{kind} cluster", options)])


def load(source: str | os.PathLike[str] | Mapping[str, Any], /, **options: Any) -> ClusterConfig:
    """The validated configuration of a file or profile; nothing is started.

    Parameters
    ----------
    source : path, str or mapping
        A YAML file; or the name of a profile, which is what stands below `dhpo.clusters.profiles.<name>` in Dask's
        configuration; or the same as a mapping. A text that ends in .yaml, .yml or .json, or that has a slash, is a
        file. It has the key `kind`, keys that all kinds share, and the kind's block or the keys of it.
    **options
        What is to be different, as in `configure`.

    Returns
    -------
    ClusterConfig
        Immutable; `start`, `render` and `check` take it.

    Raises
    ------
    ConfigError
        If there is no such file or profile, if it is no mapping, or if a key is not allowed.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("cluster.yaml").write_text("{kind: ssh, hosts: [a, b], workers: 4}")
    >>> config = clusters.load("cluster.yaml", threads=2)
    >>> config.kind, config.workers, config.threads
    ('ssh', 4, 2)
    """
    name, content = _read(source)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{name}: expected keys and values, and got {type(content).__name__}")
    layer = {str(key).replace("-", "_"): value for key, value in content.items()}
    if "kind" not in layer:
        raise ConfigError(f"{name}: has no key 'kind'; expected one of {', '.join(HOMES)}")
    kind = kind_named(layer.pop("kind")).name
    if options.get("kind", kind) != kind:
        raise ConfigError(f"kind={options['kind']!r}: {name} is of kind {kind!r}")
    options.pop("kind", None)
    return _validated(kind, [(name, layer), (f"{kind} cluster", options)])


def _read(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, Any]:
    if isinstance(source, Mapping):
        return "cluster", source
    if not isinstance(source, str | os.PathLike):
        raise ConfigError(f"{source!r}: expected a YAML file, the name of a profile, or a mapping")
    text = os.fspath(source)
    if isinstance(source, os.PathLike) or text.endswith((".yaml", ".yml", ".json")) or "/" in text or os.sep in text:
        return text, _yaml(Path(os.path.expanduser(text)))
    profiles = dask.config.get(_PROFILES, {}) or {}
    if text not in profiles:
        where = f"profiles stand below {_PROFILES} in Dask's configuration; a file ends in .yaml"
        raise ConfigError(f"{unknown_key(text, profiles, 'profile')} ({where})")
    return f"profile {text}", profiles[text]


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        # Its own text quotes the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: not YAML{where}: {getattr(error, 'problem', None) or 'unreadable'}") from None
    except ValueError:
        raise ConfigError(f"{path}: not YAML: a value looks like a date or a number, and is none: quote it") from None


def _validated(kind: str, layers: list[tuple[str, Mapping[str, Any]]]) -> ClusterConfig:
    chosen = kind_named(kind)
    defaults = dask.config.get(f"{_DEFAULTS}.{kind}", {}) or {}
    shared: dict[str, Any] = {}
    block: dict[str, Any] = {}
    for source, layer in [(f"Dask's configuration {_DEFAULTS}.{kind}", defaults), *layers]:
        for target, values in zip((shared, block), _split(chosen, layer, source), strict=True):
            for key, value in values.items():
                both = isinstance(value, Mapping) and isinstance(target.get(key), Mapping) and key == "env"
                target[key] = {**target[key], **value} if both else value
    # Also where nothing was said of it: what the block needs is then named, and not the block.
    if chosen.name in chosen.config.model_fields:
        shared[chosen.name] = block
    try:
        config: ClusterConfig = chosen.config.model_validate(shared)
    except ValidationError as error:
        raise explain(error, chosen.config, layers[0][0]) from None
    return config


def _split(kind: Kind[Any], layer: Any, source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(layer, Mapping):
        raise ConfigError(f"{source}: expected keys and values, and got {type(layer).__name__}")
    keys = {str(key).replace("-", "_"): value for key, value in layer.items()}
    shared_names = set(kind.config.model_fields) - {kind.name, "kind"}
    block_names = block_fields(kind)
    block = keys.pop(kind.name, None) or {}
    if not isinstance(block, Mapping):
        raise ConfigError(f"{source}: {kind.name}: expected keys and values, and got {type(block).__name__}")
    block = {str(key).replace("-", "_"): value for key, value in block.items()}
    for key in block:
        if key not in block_names:
            raise ConfigError(f"{source}: {kind.name}: {unknown_key(key, block_names)}")
    shared = {}
    for key, value in keys.items():
        if key in shared_names:
            shared[key] = value
        elif key in block_names:
            block[key] = value
        else:
            raise ConfigError(f"{source}: {unknown_key(key, shared_names | block_names)}")
    return shared, block


def block_fields(kind: Kind[Any]) -> set[str]:
    """The keys of the block of a kind's back end."""
    field = kind.config.model_fields.get(kind.name)
    options = field.annotation if field else None
    return set(options.model_fields) if isinstance(options, type) and issubclass(options, BaseModel) else set()
