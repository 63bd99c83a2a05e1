"""Settings and strategies of hypothesis for damaged files and hostile arguments."""

from __future__ import annotations

import copy
import json
import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

EXAMPLES = os.environ.get("MLPBENCH_FUZZ")
"""Number of random inputs of each test; without it there are few, and always the same."""

tried = settings(
    suppress_health_check=list(HealthCheck),
    max_examples=int(EXAMPLES or 10),
    derandomize=EXAMPLES is None,
    database=None,
)

TEXTS = st.one_of(
    st.sampled_from(["", "\x1b[31m", "a\nb", "\u202e", "\ud800", "nan", "1e999", "../..", "python_loops", "3-3-1"]),
    st.text(max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**63, 10**400, 0.0, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf")]),
    st.integers(),
    st.floats(),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(TEXTS, parts, max_size=3)),
    max_leaves=4,
)


def places(data):
    """Every place in JSON data, as its container and its key or index."""
    keys = data.keys() if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in list(keys):
        yield data, key
        yield from places(data[key])


@st.composite
def damaged_data(draw, document):
    """The JSON data of a document after one to three changes, each at a random place."""
    data = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        choices = list(places(data))
        if not choices:
            break
        container, key = draw(st.sampled_from(choices))
        match draw(st.sampled_from(["replace", "scale", "remove", "move", "repeat"])):
            case "remove":
                del container[key]
            case "move":
                other, place = draw(st.sampled_from(choices))
                container[key] = copy.deepcopy(other.get(place) if isinstance(other, dict) else other[place:][:1])
            case "repeat" if isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            case "scale" if type(container[key]) in (int, float):
                container[key] = container[key] * draw(st.sampled_from([-1, 0, 2, 10**6, 0.5]))
            case _:
                container[key] = draw(VALUES)
    return data


@st.composite
def damaged_bytes(draw, content):
    """The content of a file after it was cut, or some of its bytes were replaced, inserted or removed."""
    data = bytearray(content)
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


def damaged_files(document):
    """The bytes of a damaged file of a document, given as JSON data."""
    as_data = damaged_data(document).map(lambda data: json.dumps(data).encode("utf-8", "surrogatepass"))
    return st.one_of(as_data, as_data, damaged_bytes(json.dumps(document).encode()))


class Hostile:
    """An object that raises wherever it is looked at."""

    def _raise(self, *_):
        raise RuntimeError("hostile")

    __repr__ = __str__ = __len__ = __iter__ = __float__ = __index__ = __array__ = __eq__ = __bool__ = _raise
    __hash__ = None


FLOATS = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, -0.0, 1e-300, float("nan"), float("inf"), 1e300]))


def arrays(shape, dtypes=("float64", "float32", "int64", "bool", ">f8", "float16")):
    """Arrays of a shape, of any of these dtypes, some not contiguous or not writable."""

    def laid_out(drawn):
        array, layout = drawn
        match layout:
            case "Fortran":
                return np.asfortranarray(array)
            case "strided":
                return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
            case "reversed":
                return array[::-1][::-1] if array.ndim else array
            case "read-only":
                array.setflags(write=False)
            case "list":
                return array.tolist()
        return array

    def of(dtype):
        kind = np.dtype(dtype).kind
        width = 16 if dtype == "float16" else 32 if dtype == "float32" else 64
        elements = {
            "f": st.floats(-100, 100, width=width) | st.sampled_from([float("nan"), float("inf")]),
            "i": st.integers(-100, 100),
        }.get(kind)
        return hypothesis_numpy.arrays(dtype, shape, elements=elements)

    layouts = st.sampled_from(["as it is", "Fortran", "strided", "reversed", "read-only", "list"])
    return st.tuples(st.sampled_from(dtypes).flatmap(of), layouts).map(laid_out)


def any_argument(*shapes):
    """An argument that is meant to be an array of one of these shapes, and often is something else."""
    right = st.sampled_from(shapes).flatmap(arrays)
    any_dtype = hypothesis_numpy.array_dtypes() | hypothesis_numpy.scalar_dtypes()
    other = hypothesis_numpy.arrays(
        any_dtype, hypothesis_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    )
    return st.one_of(
        right,
        right,
        right,
        right,
        other,
        VALUES,
        st.builds(Hostile),
        st.lists(st.lists(FLOATS, max_size=4), max_size=4),
    )


def any_number():
    """An argument that is meant to be a number, and often is something else."""
    return st.one_of(st.integers(0, 4), st.floats(0, 1), VALUES, st.builds(Hostile), arrays(()), arrays((2,)))
