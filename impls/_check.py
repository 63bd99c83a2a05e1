"""Checks of the caller's arguments, shared so that every backend raises the same errors with the same messages."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

CHUNK = 10_000
"""Length of the chunks in which squares are summed: OpenBLAS uses one thread for a dot product of this length.

Waking other threads for a check would delay the computation that follows.
"""

MOST_EPOCHS = 10**9
"""Epochs of one call of ``train``, whose losses then take 8 GB."""


def abbreviated(value: object) -> str:
    """The value's ``repr`` for an error message: one line of at most 80 characters, also if ``repr`` raises."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # the caller's object may raise anything, and a very long integer has no repr
        text = f"a value of type {type(value).__name__} without a repr"
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggestion(value: object, names: Collection[str]) -> str:
    """The most similar name, as the end of an error message; empty if none is similar."""
    nearest = difflib.get_close_matches(value, names, 1) if isinstance(value, str) else []
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def choice(name: str, value: object, allowed: Collection[str]) -> None:
    """Raise ValueError unless ``value`` is one of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        got = f"{abbreviated(value)}{suggestion(value, allowed)}"
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {got}")


def reasons(value: Any, operations: Collection[str]) -> dict[str, str]:
    """Copy the mapping that ``lacks`` returns. Raises TypeError unless it maps operations to reasons."""
    if not isinstance(value, Mapping) or any(
        operation not in operations or not isinstance(reason, str) for operation, reason in value.items()
    ):
        raise TypeError(f"lacks must map operations to reasons as text, got {abbreviated(value)}")
    return dict(value)


def dtype(value: Any, allowed: Collection[str], backend: str) -> np.dtype[Any]:
    """Convert ``value`` to a NumPy dtype. Raises ValueError if the backend does not support the dtype."""
    try:
        name = np.dtype(value).name if value is not None else "None"
    except Exception:  # NumPy calls methods of the value, which may raise anything
        name = abbreviated(value)
    if name not in allowed:
        raise ValueError(f"dtype of {backend} must be one of {', '.join(allowed)}, got {name}")
    return np.dtype(name)


def real_array(name: str, value: ArrayLike) -> Array:
    """Convert ``value`` to an array of booleans, integers or floats.

    Raises TypeError for any other dtype and for masked entries, ValueError for a ragged sequence.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array; fill it first")
    if _holds_masked(value):  # NumPy would take a masked entry for NaN, and ignore the mask of a row
        raise TypeError(f"{name} must not hold masked values; fill them first")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be rectangular: its rows differ in length") from None
    except Exception as error:  # NumPy calls methods of the value, which may raise anything
        raise TypeError(f"{name} cannot be made an array, got {abbreviated(value)}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _holds_masked(value: object, depth: int = 2) -> bool:
    """Whether a nested sequence has masked entries or rows; no argument has more dimensions than ``depth``."""
    if not isinstance(value, Sequence):
        return False
    kinds = set(map(type, value))
    if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
        return True
    is_nested = depth > 1 and any(issubclass(kind, Sequence) for kind in kinds)
    return is_nested and any(_holds_masked(entry, depth - 1) for entry in value)


def converted(name: str, value: ArrayLike, model_dtype: np.dtype[Any]) -> Array:
    """Convert ``value`` to a C-contiguous array of the model's dtype.

    A float64 number too large for float32 becomes infinity; callers switch off NumPy's warning about the overflow.
    Raises TypeError or ValueError like ``real_array``.
    """
    # ``==``, not ``is``: an unpickled array has its own dtype object.
    if type(value) is np.ndarray and value.dtype == model_dtype and value.flags.c_contiguous:
        return value
    array = real_array(name, value)
    return np.ascontiguousarray(array, model_dtype) if array.ndim else array.astype(model_dtype)


def finite(name: str, array: Array) -> None:
    """Raise ValueError if an entry is NaN or infinite."""
    # Fast path: one pass sums the squares. Only if the sum is infinite or NaN is each entry tested.
    flat = array.ravel()
    if not _has_finite_square_sum(flat) and not np.isfinite(flat).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite in {array.dtype}, got {array[index]} at {list(index)}")


def _has_finite_square_sum(flat: Array) -> bool:
    if len(flat) <= CHUNK:
        return isfinite(flat.dot(flat))
    chunks = (flat[start : start + CHUNK] for start in range(0, len(flat), CHUNK))
    return all(isfinite(chunk.dot(chunk)) for chunk in chunks)


def inputs(value: ArrayLike, n_in: int, model_dtype: np.dtype[Any]) -> Array:
    """Convert x, the argument of ``forward``, to a C-contiguous array of the model's dtype.

    The array's shape is (n_in,) or (batch, n_in). Raises TypeError for a dtype that is not real, ValueError for
    another shape.
    """
    array = converted("x", value, model_dtype)
    if array.ndim not in (1, 2) or array.shape[-1] != n_in:
        raise ValueError(f"x must have shape ({n_in},) or (batch, {n_in}), got {array.shape}")
    if array.ndim == 2 and not len(array):
        raise ValueError("x must hold at least one sample, got an empty batch")
    return array


def _matrix(name: str, value: ArrayLike, width: int, model_dtype: np.dtype[Any]) -> Array:
    array = converted(name, value, model_dtype)
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"{name} must have shape (batch, {width}), got {array.shape}")
    if not len(array):
        raise ValueError(f"{name} must hold at least one sample, got an empty batch")
    finite(name, array)
    return array


def samples(
    X: ArrayLike, Y: ArrayLike, n_in: int, n_out: int, loss: str, model_dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """Convert X (batch, n_in) and Y (batch, n_out) to finite C-contiguous arrays of the model's dtype.

    Raises TypeError for a dtype that is not real; ValueError for a wrong shape, an entry that is not finite, or targets
    that the loss does not allow.
    """
    inputs, targets = _matrix("X", X, n_in, model_dtype), _matrix("Y", Y, n_out, model_dtype)
    if len(inputs) != len(targets):
        raise ValueError(f"X and Y must have the same length, got {len(inputs)} and {len(targets)}")
    if loss in ("binary_cross_entropy", "categorical_cross_entropy") and (targets.min() < 0 or targets.max() > 1):
        raise ValueError(f"targets of {loss} must lie in [0, 1], got {targets.min()} to {targets.max()}")
    if loss == "categorical_cross_entropy":
        sums = targets.sum(axis=1, dtype=np.float64)
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) > n_out * np.finfo(model_dtype).eps:
            raise ValueError(
                f"targets of {loss} must sum to 1 in every row to within {model_dtype} rounding, "
                f"got {sums[worst]} in row {worst}; divide each row by its sum"
            )
    return inputs, targets


def reduction(value: object) -> bool:
    """Return True for "mean" and False for "sum". Raises ValueError for any other value."""
    choice("reduction", value, ("mean", "sum"))
    return value == "mean"


def epochs(value: object) -> int:
    """Convert a number of epochs to an int.

    Raises TypeError if it is not an integer, ValueError if it is below 1 or above MOST_EPOCHS.
    """
    number = _positive_integer("epochs", value)
    if number > MOST_EPOCHS:
        raise ValueError(f"epochs must be {MOST_EPOCHS} or less in one call, got {abbreviated(number)}")
    return number


def rate(name: str, value: Any) -> float:
    """Convert a learning rate to a float.

    Raises TypeError if the rate is not a real number, ValueError if it is negative or not finite.
    """
    # Exact types first: isinstance(value, Real) takes 0.5 µs.
    if type(value) not in (float, int) and (not isinstance(value, Real) or isinstance(value, (bool, np.bool_))):
        raise TypeError(f"{name} must be a real number, got {abbreviated(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = float("inf")
    if not isfinite(result) or result < 0:
        raise ValueError(f"{name} must be finite and not negative, got {abbreviated(value)}")
    return result


def batches(value: Any, n: int) -> tuple[NDArray[np.intp] | None, int]:
    """Convert the argument ``batches`` of ``train``, for n samples, to (rows, batch size).

    ``rows`` lists the rows of X in training order; None means every row once, in the order of X. Raises TypeError or
    ValueError.
    """
    if value is None:
        return None, n
    if type(value) is int or _is_scalar(value):
        size = _positive_integer("batches", value)
        if size > n:
            raise ValueError(f"batches must be {n} or less, the number of samples, got {abbreviated(size)}")
        return None, size
    rows = real_array("batches", value)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"batches must hold integers, the rows of each step, got dtype {rows.dtype}")
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"batches must have shape (steps, size) with at least one row each, got {rows.shape}")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"batches must name rows 0 to {n - 1}, got {rows.min()} to {rows.max()}")
    return rows.astype(np.intp).reshape(-1), rows.shape[1]


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return False
    try:
        return np.ndim(value) == 0
    except Exception:  # as in ``real_array``, which then raises an error
        return False


def _positive_integer(name: str, value: Any) -> int:
    if type(value) is not int and (not isinstance(value, Integral) or isinstance(value, (bool, np.bool_))):
        raise TypeError(f"{name} must be an integer, got {abbreviated(value)}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {abbreviated(int(value))}")
    return int(value)
