"""The parts of a tutorial: programs that train a network, other computations, printed figures, and printed times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from bench.records.tutorial_schema import Form
from impls import Array, Model, Network, Parameters


@dataclass(frozen=True)
class Setting:
    """A network with its initial parameters and its data, and the options of its training.

    With ``epochs`` 0 the network is not trained. ``batches`` is an argument of ``Model.train``, or an array of row
    numbers (epochs, steps, size) with other batches in every epoch. ``watch`` is computed from the outputs for X before
    each epoch whose number is in ``stops``.
    """

    network: Network
    parameters: Parameters
    X: Array
    Y: Array
    epochs: int = 0
    learning_rate: float = 0.0
    bias_learning_rate: float | None = None
    batches: int | Array | None = None
    reduction: str = "mean"
    watch: Callable[[Array], float] | None = None
    stops: Sequence[int] = ()


@dataclass
class TrainingRun:
    """A run of a setting on a backend: the loss of each epoch, the watched values by epoch, and the training time."""

    setting: Setting
    model: Model
    losses: list[float] = field(default_factory=list)
    watched: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0

    def reached(self, epochs: int | None) -> bool:
        """Whether at least ``epochs`` epochs were trained; None stands for all epochs of the setting."""
        return len(self.losses) >= (self.setting.epochs if epochs is None else epochs)


RunsBySeed = Mapping[int, TrainingRun]
"""Training runs by seed."""


@dataclass(frozen=True)
class Figure:
    """A printed figure, and the function that computes its value from the result of a program or computation.

    ``source`` names the origin of the figure if the tutorial itself does not print it. The value needs a run of each
    seed in ``seeds``, with at least ``epochs`` epochs; None stands for all epochs.
    """

    name: str
    printed: str
    value: Callable[[Any], ArrayLike]
    form: Form = "rounded"
    source: str = ""
    seeds: Sequence[int] = (0,)
    epochs: int | None = None


@dataclass(frozen=True)
class Program:
    """A network that every backend runs from one or more seeds. The figures are computed from ``RunsBySeed``.

    Backends outside ``reproduce.IN_FULL`` run only the ``few`` seeds. If ``seconds`` is given, these backends share
    that time equally, and each stops training when its share is used up. ``sensitive`` are the seeds at which rounding
    decides the training, so the backends are not compared there. ``printed_time`` is the tutorial's statement about
    the duration of the training. ``remark`` makes a remark about the runs for the reader.
    """

    name: str
    setting: Callable[[int], Setting]
    figures: Sequence[Figure] = ()
    seeds: Sequence[int] = (0,)
    few: Sequence[int] = (0,)
    sensitive: Sequence[int] = ()
    seconds: float | None = None
    printed_time: str | None = None
    remark: Callable[[RunsBySeed], str] | None = None


@dataclass(frozen=True)
class Computation:
    """A computation that runs once, with the nodes of ``graph`` if ``by_graph``, else without any backend."""

    name: str
    compute: Callable[[], Any]
    figures: Sequence[Figure]
    by_graph: bool = False


@dataclass(frozen=True)
class PrintedTime:
    """A row of a printed timing table: seconds for one sample with loops and with matrices, and the speedup."""

    network: Network
    loops: float | None
    matrix: float | None
    speedup: float | None


@dataclass(frozen=True)
class Tutorial:
    """A tutorial: its programs and computations, the times that it prints, and explanations for the reader."""

    key: str
    title: str
    parts: Sequence[Program | Computation]
    explanation: Sequence[str]
    times: Sequence[PrintedTime] = ()
