"""The schemas of the JSON documents. The document of a command has ``schema``, ``command``, ``machine``, ``rows``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.cases import Case
from impls import Network
from pairbench.statistics import Interval

Form = Literal["rounded", "truncated", "exact", "below all"]
"""How printed digits represent a value: rounded, truncated, complete, or as a lower bound of several values."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A part of a document. Validation rejects missing fields, unknown fields and values of other types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Ratio(Record):
    """A ratio of times with its 95 % confidence interval, whose ends are null if there was only one process."""

    estimate: Finite
    low: Finite | None
    high: Finite | None

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The record of an interval."""
        return cls(estimate=interval.estimate, low=interval.low, high=interval.high)


class CaseFields(Record):
    """The fields that describe the case of a row."""

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
    def _check_case(self) -> Self:
        _ = self.case  # raises ValueError for an invalid network
        return self

    @property
    def case(self) -> Case:
        """The case that these fields describe."""
        network = Network(tuple(self.layer_sizes), self.hidden, self.output, self.loss)
        return Case(network, self.operation, self.batch, self.dtype, self.threads, self.epochs, self.batches)


class TimingRow(CaseFields):
    """A timing row: one backend at one case. ``arm`` is the name of the arm, "A/A" for the A/A control.

    If ``ok`` is true and ``seconds`` is null, the backend does not support the operation; ``reason`` explains why.
    ``ulps`` is the largest error in units in the last place, ``share`` the largest error ÷ its bound.
    ``lower_bound_seconds`` is the roofline's lower bound of a call's time, ``roofline_share`` the lower bound ÷
    ``seconds``; both are null if the roofline was not measured.
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
    """A limit of the machine: the largest measured rate per second, on one thread.

    ``what``: "products", multiply-add operations of matrix products, with the shape or the case in ``detail``;
    "exponentials", values; "reading", bytes read from an array of the size in ``detail``, repeatedly; "calls", calls of
    an empty function with the arguments in ``detail``.
    """

    what: Literal["products", "exponentials", "reading", "calls"]
    detail: str
    dtype: str | None
    per_second: Finite


class CompileRow(Record):
    """Seconds until a backend's first results on a network, with an empty and with a filled cache."""

    backend: str
    network: str
    cold_seconds: Finite
    cached_seconds: Finite


class ConditionsRecord(Record):
    """Load on the machine during a measurement; see ``pairbench.machine.Conditions``."""

    wall_seconds: Finite
    steal_seconds: Finite | None
    load_average: Finite | None
    cpu_mhz: Finite | None
    involuntary_switches: int | None
    other_cpus: Finite | None = None


class PoolRecord(Record):
    """A library's thread pool."""

    library: str
    version: str | None
    num_threads: int


class SampleRecord(CaseFields):
    """All samples of an arm in a process: ``loops`` calls took ``seconds`` each, at these positions of these blocks."""

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
    """The fields that most documents share."""

    command: str
    version: str
    started: str
    finished: str
    machine: dict[str, Any]


class TimingDocument(Document):
    """The fields that the documents of ``run`` and ``compare`` share."""

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
    """The document of ``mlpbench compare A B``. In the rows of B, ``speedup`` is time of A ÷ time of B."""

    schema_: Literal["mlpbench.compare/2"] = Field("mlpbench.compare/2", alias="schema")


class ProofRow(CaseFields):
    """A row of the proof: one backend, network, dtype and check. ``operation`` is the name of the check."""

    backend: str
    ulps: Finite | None
    share: Finite | None
    ok: bool
    reason: str


class MutantRow(Record):
    """A mutant; ``reason`` names the check that rejected it, and is empty if none did."""

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
    """A figure printed in a tutorial, and the value that a backend computes; ``backend`` is null if it needs none.

    ``kind`` "figure": the number or numbers in ``value`` should have the digits of ``printed``, read as ``form`` says;
    null stands for NaN or infinity. "agreement": the largest relative difference from the comparison backend, which
    should be at most ``printed``. "time": seconds. "speedup": a ratio of times with its interval. For "time" and
    "speedup", ``ratio`` is this machine's value ÷ the tutorial's, null if the tutorial prints none. "failure": the
    backend raised the exception in ``note``. ``source`` is the origin of ``printed`` if it is not the tutorial.
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
    """The document of ``mlpbench tutorials``; ``remarks`` has notes on the figures, by the key of the tutorial."""

    schema_: Literal["mlpbench.tutorials/1"] = Field("mlpbench.tutorials/1", alias="schema")
    options: dict[str, Any]
    rows: list[TutorialRow]
    remarks: dict[str, list[str]]


Dimension = Literal["width", "depth", "batch"]


class ScaleRow(CaseFields):
    """One backend at one point of a dimension.

    ``dimension`` and ``value`` are null in the rows that are measured for the break-even. ``speedup`` is time of
    python_loops ÷ time of the backend, null if either was not timed; for the arm "A/A" it is the ratio of the row's
    backend to itself. ``predicted_seconds`` is null unless the call was predicted to take too long and was not run.
    ``reason`` explains a failure or why the call was not run.
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
    """A crossover: above the size ``at``, ``faster_above`` takes less time than ``faster_below``.

    ``left`` and ``right`` are the timed sizes around ``at``. ``low`` and ``high`` are the sizes at which the ends of
    the 99 % interval of the ratio cross 1.
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
    """A range of sizes, ``left`` to ``right``, in which neither of two backends is significantly faster.

    ``within`` is the largest factor between their times in the 99 % intervals; null without intervals.
    """

    dimension: Dimension
    backends: tuple[str, str]
    left: int
    right: int
    within: Finite | None


class BreakEvenRow(Record):
    """Number of calls with one sample until a backend breaks even with python_loops; null if it never does."""

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
    """A backend that was not run at a case, because it would take too long or has failed before."""

    backend: str
    predicted_seconds: Finite | None
    reason: str


class CheckpointRecord(Record):
    """The fields of every checkpoint: the settings, which a resumed run must share, and the start of the run."""

    settings: dict[str, Any]
    started: str


class ScaleState(CheckpointRecord):
    """Checkpoint of ``mlpbench scale``. In ``rows`` the reference is the fastest backend of a case."""

    schema_: Literal["mlpbench.scale-state/2"] = Field("mlpbench.scale-state/2", alias="schema")
    rows: list[TimingRow]
    not_run: list[NotRun]
    compile: list[CompileRow]
    processes: list[ProcessRecord]


class GoalRow(Record):
    """A goal: ``measured`` should be at least ``goal``, or at most ``goal`` if ``at_most``; null if not measured.

    ``what`` names the measured quantity. ``detail`` describes the result, or explains why there is none. ``note``
    describes the attempts to reach a goal that is not reached.
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
    """One process of the comparison with C: seconds per call of C, log ratios of numba_simd ÷ C by block."""

    seconds: Finite
    log_ratios: list[Finite]


class CComparisonRecord(Record):
    """The comparison with C, by process, or the reason why there is no comparison."""

    processes: list[CProcessRecord]
    reason: str


class StartRecord(Record):
    """Wall seconds of a process with an empty cache for a dtype, and of later processes with a filled cache."""

    dtype: str
    cold_seconds: Finite
    warm_seconds: list[Finite]


class Speed(Document):
    """The document of ``mlpbench speed``. The reference of each row is numba_simd at the same case."""

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
    """Checkpoint of ``mlpbench speed``; a part that is not measured yet is null."""

    schema_: Literal["mlpbench.speed-state/1"] = Field("mlpbench.speed-state/1", alias="schema")
    seed: int
    roofline: list[RooflineRow] | None = None
    rows: list[TimingRow] | None = None
    processes: list[ProcessRecord] | None = None
    c: CComparisonRecord | None = None
    starts: list[StartRecord] | None = None


class TutorialsState(CheckpointRecord):
    """Checkpoint of ``mlpbench tutorials``: the keys of the finished tutorials, and their results."""

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
    """The content of ``latest.json``, which names the file of the last run."""

    schema_: Literal["mlpbench.latest/1"] = Field("mlpbench.latest/1", alias="schema")
    file: str
