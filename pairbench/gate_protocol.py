"""What the gate and its measuring processes say to each other: a request, then a list that holds the answer.

Plain data only: a process may run the ``impls`` of another revision, whose classes are not this one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class ListBackends:
    """Say which backends there are. Answer: where each comes from, by name, or a Failure."""


@dataclass(frozen=True)
class DescribeBackend:
    """Import a backend, and say what it lacks for these networks. Answer: Found, or a Failure."""

    name: str
    networks: tuple[tuple[tuple[int, ...], str, str, str], ...]


@dataclass(frozen=True)
class BackendDescription:
    """A backend, why it cannot be used if so; by network, the operations that it has not.

    One that cannot be used is ``broken``, or something that it needs is not installed.
    """

    name: str
    dtypes: tuple[str, ...]
    reason: str
    broken: bool
    lacks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Build:
    """Make a model ready to be timed. Answer: None, or a Failure.

    ``steps``: length of the delay that is planted in its call, None for none and no room for one.
    """

    row: str
    backend: str
    layer_sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    operation: str
    batch: int
    dtype: str
    epochs: int
    batches: int | None
    parameters: list[tuple[NDArray[Any], NDArray[Any]]]
    X: NDArray[Any]
    Y: NDArray[Any]
    steps: int | None = None


@dataclass(frozen=True)
class TimeSample:
    """Time so many calls of a row. Answer: seconds per call, or a Failure."""

    row: str
    loops: int


@dataclass(frozen=True)
class CallOnce:
    """Make one more of the calls that were timed. Answer: Outcome, or a Failure."""

    row: str


@dataclass(frozen=True)
class CallOutcome:
    """What a call returned; of a training also the parameters before and after, else None."""

    result: Any
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class PinToCpu:
    """Run on this CPU from now on, and on no other. Answer: None, or a Failure."""

    cpu: int


@dataclass(frozen=True)
class CheckThreads:
    """Look at the libraries' thread counts. Answer: None, or a Failure."""


@dataclass(frozen=True)
class BurnCpu:
    """Keep a CPU busy until the process is killed. There is no answer."""


@dataclass(frozen=True)
class Failure:
    """A backend raised something; the text says what, in one line."""

    reason: str
