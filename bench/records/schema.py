"""The schema of the JSON documents: a document of any command has ``schema``, ``command``, ``machine`` and ``rows``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.cases import Case
from impls import Network
from pairbench.statistics import Interval

Form = Literal["rounded", "truncated", "exact", "below all"]
"""How printed digits stand for a value: rounded, cut off, all that there are, or as a figure below all values."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A part of a document: nothing missing, nothing more, no conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Ratio(Record):
    """A ratio of times with its 95 % interval, whose ends are null where one process alone was measured."""

    estimate: Finite
    low: Finite | None
    high: Finite | None

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The record of an interval."""
        return cls(estimate=interval.estimate, low=interval.low, high=interval.high)


class CaseFields(Record):
    """What every row about a case says of it."""

    layer_sizes: list[int]
    hidden: str
    output: str
    loss: str
    operation: str
    batch: int
    dtype: str
    threads: int
    epochs: int
    batches: int | None

    @model_validator(mode="after")
    def _describe_a_case(self) -> Self:
        _ = self.case  # raises ValueError for a network that there cannot be
        return self

    @property
    def case(self) -> Case:
        """The case that these fields describe."""
        network = Network(tuple(self.layer_sizes), self.hidden, self.output, self.loss)
        return Case(network, self.operation, self.batch, self.dtype, self.threads, self.epochs, self.batches)


class TimingRow(CaseFields):
    """A timing row: one backend at one case. ``arm`` is the backend's name, or "A/A" for the reference again.

    A row that is ok and has no seconds is one of an operation that the backend does not support; ``reason`` says why.
    ``ulps`` is the worst error in units in the last place, ``share`` the worst error ÷ its bound.
    ``lower_bound_seconds`` is the lower bound of a call's time by the roofline, ``roofline_share`` that ÷ ``seconds``;
    null where the roofline was not measured.
    """

    backend: str
    arm: str
    reference: str
    seconds: Finite | None
    speedup: Ratio | None
    ulps: Finite | None
    share: Finite | None
    lower_bound_seconds: Finite | None = None
    roofline_share: Finite | None = None
    ok: bool
    reason: str


class RooflineRow(Record):
    """What the machine does in a second, on one thread, at best.

    ``what``: "products", operations (a product with a sum) of matrix products, of the shape or the case in ``detail``;
    "exponentials"; "reading", bytes, where as many as ``detail`` says are read over and over again; "calls", empty ones
    with the arguments of ``detail``.
    """

    what: Literal["products", "exponentials", "reading", "calls"]
    detail: str
    dtype: str | None
    per_second: Finite


class CompileRow(Record):
    """Seconds until a backend's first results on a network, and calls after which they have paid, by case."""

    backend: str
    network: str
    cold_seconds: Finite
    cached_seconds: Finite


class ConditionsRecord(Record):
    """What disturbed a process."""

    wall_seconds: Finite
    steal_seconds: Finite | None
    load_average: Finite | None
    cpu_mhz: Finite | None
    involuntary_switches: int | None
    other_cpus: Finite | None = None


class PoolRecord(Record):
    """A library's pool of threads."""

    library: str
    version: str | None
    num_threads: int


class SampleRecord(CaseFields):
    """All samples of one arm in one process: ``loops`` calls took ``seconds`` each, at a position of a block."""

    arm: str
    loops: int
    block: list[int]
    position: list[int]
    seconds: list[Finite]


class ProcessRecord(Record):
    """One timing process."""

    seed: int
    conditions: list[ConditionsRecord]
    pools: list[PoolRecord]
    samples: list[SampleRecord]


class Document(Record):
    """What every document begins with."""

    command: str
    version: str
    started: str
    finished: str
    machine: dict[str, Any]


class TimingDocument(Document):
    """What ``run`` and ``compare`` share."""

    options: dict[str, Any]
    effort: dict[str, Any]
    seed: int
    rows: list[TimingRow]
    processes: list[ProcessRecord]


class Run(TimingDocument):
    """The document of ``mlpbench run``."""

    schema_: Literal["mlpbench.run/2"] = Field("mlpbench.run/2", alias="schema")
    compile: list[CompileRow]
    roofline: list[RooflineRow]


class Comparison(TimingDocument):
    """The document of ``mlpbench compare A B``: in the rows of B, ``speedup`` is time of A ÷ time of B."""

    schema_: Literal["mlpbench.compare/2"] = Field("mlpbench.compare/2", alias="schema")


class ProofRow(CaseFields):
    """A row of the proof: one backend, network, dtype and operation, or ``contract``, or ``scikit-learn`` beside it."""

    backend: str
    ulps: Finite | None
    share: Finite | None
    ok: bool
    reason: str


class MutantRow(Record):
    """A sabotaged backend, and the row of the proof that rejected it; empty where none did."""

    mutant: str
    description: str
    killed: bool
    reason: str


class Proof(Document):
    """The document of ``mlpbench verify``."""

    schema_: Literal["mlpbench.verify/1"] = Field("mlpbench.verify/1", alias="schema")
    rows: list[ProofRow]
    mutants: list[MutantRow]


class TutorialRow(Record):
    """A figure of a document beside what one backend gives; ``backend`` is null where none is needed to state it.

    ``kind`` "figure": ``value``, a number or several, is to have the digits of ``printed``, as ``form`` says; null
    stands for NaN or infinity. "agreement": the worst relative difference from the backend that the others are
    compared with, to be at most ``printed``. "time": seconds. "speedup": a ratio of times with its interval. Of these
    two, ``ratio`` is this machine's ÷ the document's, where that prints one. "failure": the backend raised what
    ``note`` says. ``source`` names who gave ``printed`` where it was not the document.
    """

    document: str
    part: str
    figure: str
    printed: str | None = None
    source: str = ""
    kind: Literal["figure", "agreement", "time", "speedup", "failure"]
    form: Form | None = None
    backend: str | None
    value: Finite | list[Finite | None] | None = None
    low: Finite | None = None
    high: Finite | None = None
    ratio: Finite | None = None
    ok: bool
    note: str = ""


class Tutorials(Document):
    """The document of ``mlpbench documents``; ``remarks`` are by key what a reader should know beside the figures."""

    schema_: Literal["mlpbench.tutorials/1"] = Field("mlpbench.tutorials/1", alias="schema")
    options: dict[str, Any]
    rows: list[TutorialRow]
    remarks: dict[str, list[str]]


Dimension = Literal["width", "depth", "batch"]


class ScaleRow(CaseFields):
    """One backend at one point of a dimension; both are null for the networks on which compiling is to pay.

    ``speedup`` is time of python_loops ÷ time of the backend, null where either was not timed; of the arm "A/A" it is
    the ratio of one backend, named in the row, to itself. ``predicted_seconds`` is there where that was too long, and
    the point was not run; ``reason`` says so, or what failed.
    """

    dimension: Dimension | None
    value: int | None
    backend: str
    arm: str
    seconds: Finite | None
    predicted_seconds: Finite | None
    speedup: Ratio | None
    ulps: Finite | None
    share: Finite | None
    ok: bool
    reason: str


class CrossoverRow(Record):
    """From ``at`` on ``faster_above`` takes less time than ``faster_below``: ``left`` and ``right`` were timed.

    ``low`` and ``high`` are where the ends of the 99 % interval of the ratio cross 1.
    """

    dimension: Dimension
    faster_below: str
    faster_above: str
    at: Finite
    low: Finite
    high: Finite
    left: int
    right: int


class TieRow(Record):
    """At the points from ``left`` to ``right`` neither of two backends is shown to be faster.

    By the 99 % intervals their times differ by the factor ``within`` at most; null where there is no interval.
    """

    dimension: Dimension
    backends: tuple[str, str]
    left: int
    right: int
    within: Finite | None


class BreakEvenRow(Record):
    """Calls of one sample after which a backend's compiling has paid, against python_loops; null: never."""

    backend: str
    network: str
    cold_seconds: Finite
    cached_seconds: Finite
    cold_calls: int | None
    cached_calls: int | None


class Scale(Document):
    """The document of ``mlpbench scale``."""

    schema_: Literal["mlpbench.scale/2"] = Field("mlpbench.scale/2", alias="schema")
    options: dict[str, Any]
    effort: dict[str, Any]
    rows: list[ScaleRow]
    crossovers: list[CrossoverRow]
    ties: list[TieRow]
    break_even: list[BreakEvenRow]
    processes: list[ProcessRecord]


class NotRun(CaseFields):
    """A backend that was not run at a case, and why: it would take too long, or has failed before."""

    backend: str
    predicted_seconds: Finite | None
    reason: str


class CheckpointRecord(Record):
    """What every checkpoint has: the settings that a resumed run must share, and when the run was begun."""

    settings: dict[str, Any]
    started: str


class ScaleState(CheckpointRecord):
    """What an unfinished ``mlpbench scale`` has so far. In ``rows`` the reference is the fastest backend of a case."""

    schema_: Literal["mlpbench.scale-state/2"] = Field("mlpbench.scale-state/2", alias="schema")
    rows: list[TimingRow]
    not_run: list[NotRun]
    compile: list[CompileRow]
    processes: list[ProcessRecord]


class GoalRow(Record):
    """A figure that is aimed at: ``what`` is at least ``goal``, or at most; ``measured`` is null where there is none.

    ``detail`` says more, or why there is nothing; ``note`` what was tried where a goal is not reached.
    """

    what: str
    measured: Ratio | None
    unit: Literal["", "s"]
    goal: Finite
    at_most: bool
    reached: bool
    detail: str
    note: str


class CProcessRecord(Record):
    """One process of numba_simd against C: seconds for a sample in C, the logarithms of numba_simd ÷ C by block."""

    seconds: Finite
    log_ratios: list[Finite]


class CComparisonRecord(Record):
    """The comparison with C by process, or the reason why there is none."""

    processes: list[CProcessRecord]
    reason: str


class StartRecord(Record):
    """Wall seconds of a process that finds nothing compiled for a dtype, and of later ones."""

    dtype: str
    cold_seconds: Finite
    warm_seconds: list[Finite]


class Speed(Document):
    """The document of ``mlpbench speed``. The rows' reference is numba_simd, in the row's case."""

    schema_: Literal["mlpbench.speed/2"] = Field("mlpbench.speed/2", alias="schema")
    options: dict[str, Any]
    effort: dict[str, Any]
    seed: int
    goals: list[GoalRow]
    rows: list[TimingRow]
    roofline: list[RooflineRow]
    c: CComparisonRecord
    starts: list[StartRecord]
    processes: list[ProcessRecord]


class SpeedState(CheckpointRecord):
    """What an unfinished ``mlpbench speed`` has so far; a part that is missing is null."""

    schema_: Literal["mlpbench.speed-state/1"] = Field("mlpbench.speed-state/1", alias="schema")
    seed: int
    roofline: list[RooflineRow] | None = None
    rows: list[TimingRow] | None = None
    processes: list[ProcessRecord] | None = None
    c: CComparisonRecord | None = None
    starts: list[StartRecord] | None = None


class TutorialsState(CheckpointRecord):
    """What an unfinished ``mlpbench tutorials`` has so far: the tutorials that are done, by key, with their results."""

    schema_: Literal["mlpbench.tutorials-state/1"] = Field("mlpbench.tutorials-state/1", alias="schema")
    done: list[str]
    rows: list[TutorialRow]
    remarks: dict[str, list[str]]
    unsupported: list[str]


class BackendRow(Record):
    """One backend as ``mlpbench backends`` lists it."""

    backend: str
    origin: str
    status: Literal["installed", "not installed", "broken"]
    libraries: dict[str, str]
    dtypes: list[str]
    description: str
    reason: str


class Listing(Record):
    """The document of ``mlpbench backends``."""

    schema_: Literal["mlpbench.backends/1"] = Field("mlpbench.backends/1", alias="schema")
    command: str
    machine: dict[str, Any]
    rows: list[BackendRow]


class Latest(Record):
    """The document that names the last run's file."""

    schema_: Literal["mlpbench.latest/1"] = Field("mlpbench.latest/1", alias="schema")
    file: str
