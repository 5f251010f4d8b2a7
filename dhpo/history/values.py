"""Values of parameters as JSON: readable where JSON has the type, pickled where it has not."""

from __future__ import annotations

import base64
import math
import pickle
from typing import Any

import cloudpickle
import numpy as np

__all__ = ["decode_value", "encode_value"]


def encode_value(value: Any) -> Any:
    """A value as what JSON knows; `decode_value` gives the same value of the same type back.

    Parameters
    ----------
    value : object
        Whatever cloudpickle takes.
    """
    if value is None or isinstance(value, bool) or type(value) in (int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is list:
        return [encode_value(v) for v in value]
    if type(value) is tuple:
        return {"tuple": [encode_value(v) for v in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: encode_value(v) for key, v in value.items()}}
    if isinstance(value, np.number | np.bool) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return {"numpy": value.dtype.name, "value": encode_value(value.item())}
    return {"pickle": base64.b64encode(cloudpickle.dumps(value, protocol=5)).decode(), "repr": repr(value)[:200]}


def decode_value(encoded: Any) -> Any:
    """The value that `encode_value` was given. This unpickles, so it runs whatever code the journal holds."""
    if isinstance(encoded, list):
        return [decode_value(v) for v in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "float" in encoded:
        return float(encoded["float"])
    if "tuple" in encoded:
        return tuple(decode_value(v) for v in encoded["tuple"])
    if "dict" in encoded:
        return {key: decode_value(v) for key, v in encoded["dict"].items()}
    if "numpy" in encoded:
        return np.dtype(encoded["numpy"]).type(decode_value(encoded["value"]))
    return pickle.loads(base64.b64decode(encoded["pickle"]))
