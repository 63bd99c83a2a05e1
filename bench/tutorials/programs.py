"""What a document is made of: programs that train a network, computations beside them, times, and printed figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from bench.records.schema import Form
from impls import Array, Model, Network, Parameters


@dataclass(frozen=True)
class Setting:
    """A network with its first parameters and its data, and how it is trained; ``epochs`` 0: not at all.

    ``batches`` is what ``Model.train`` takes, or (epochs, steps, size): other rows in every epoch. ``watch`` is
    computed from the outputs for X, at each of ``stops``: before the epoch of that number.
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
    """What a setting came to on a backend: the loss of each epoch, what was watched, and the seconds of training."""

    setting: Setting
    model: Model
    losses: list[float] = field(default_factory=list)
    watched: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0

    def reached(self, epochs: int | None) -> bool:
        """Whether so many epochs were trained; None: all of them."""
        return len(self.losses) >= (self.setting.epochs if epochs is None else epochs)


RunsBySeed = Mapping[int, TrainingRun]
"""Outcomes by seed."""


@dataclass(frozen=True)
class Figure:
    """A printed figure, and how it is read off what a program left.

    ``source`` names who prints it where that is not the document. It needs runs of ``seeds``, each of ``epochs`` or
    else in full.
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
    """A network that every backend runs, from one or more seeds; its figures are read off the ``Runs``.

    The backends that are not ``reproduce.IN_FULL`` run the ``few`` seeds alone, and share ``seconds``, if that is
    given: each goes as far as its part allows. ``sensitive`` are seeds whose course rounding decides, so that
    backends are not compared there. ``printed_time`` is what the document says of the training. ``remark`` says what is
    true of the runs beside the figures.
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
    """What is computed once: by the nodes of ``graph`` if ``by_graph``, else beside all backends."""

    name: str
    compute: Callable[[], Any]
    figures: Sequence[Figure]
    by_graph: bool = False


@dataclass(frozen=True)
class PrintedTime:
    """A row of a timing table: printed seconds of ``loops`` and of ``matrix`` form for one sample, and the speedup."""

    network: Network
    loops: float | None
    matrix: float | None
    speedup: float | None


@dataclass(frozen=True)
class Tutorial:
    """A tutorial: what it runs, the times that it prints, and what a reader should know."""

    key: str
    title: str
    parts: Sequence[Program | Computation]
    explanation: Sequence[str]
    times: Sequence[PrintedTime] = ()
