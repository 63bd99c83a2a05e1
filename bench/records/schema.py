"""The schemas of the JSON documents. The document of a command has ``schema``, ``command``, ``machine``, ``rows``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.cases import Case
from impls import Network
from pairbench.statistics import Interval

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=1e-15, lt=1e15)]
"""A positive number; the range excludes values that would overflow or underflow in later arithmetic."""

Count = Annotated[int, Field(ge=1, le=2**53)]
"""A whole number that a float, and the number of a script, represents exactly."""


class Record(BaseModel):
    """A part of a document. Validation rejects missing fields, unknown fields and values of other types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def _repr_html_(self) -> str | None:
        """The tables of the terminal, for a notebook; None for a record without tables."""
        from bench.report import contents  # imports this module, too

        return contents.html(self)


class Ratio(Record):
    """A ratio of times with its 95 % confidence interval, whose ends are null if there was only one process."""

    estimate: Annotated[Finite, Field(gt=0)]
    low: Annotated[Finite, Field(gt=0)] | None
    high: Finite | None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval needs both ends or none")
        if self.low is not None and self.high is not None and not self.low <= self.estimate <= self.high:
            raise ValueError(f"the estimate {self.estimate} must lie in its interval, {self.low} to {self.high}")
        return self

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The record of an interval."""
        return cls(estimate=interval.estimate, low=interval.low, high=interval.high)


class CaseFields(Record):
    """The fields that describe the case of a row."""

    layer_sizes: list[Count]
    hidden: str
    output: str
    loss: str
    operation: str
    batch: Count
    dtype: str
    threads: Count
    epochs: Count
    batches: Count | None

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
    ``seconds``; both are null if the roofline was not measured. ``remarks``: settings of the process that the backend
    changed during its calls.
    """

    backend: str
    arm: str
    reference: str
    seconds: Positive | None
    speedup: Ratio | None
    ulps: Finite | None
    share: Finite | None
    lower_bound_seconds: Positive | None = None
    roofline_share: Positive | None = None
    ok: bool
    reason: str
    remarks: list[str] = []


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
    cold_seconds: Positive
    cached_seconds: Positive


class ConditionsRecord(Record):
    """Load on the machine during a measurement; see ``pairbench.machine.Conditions``."""

    wall_seconds: Positive
    steal_seconds: Finite | None
    load_average: Finite | None
    cpu_mhz: Finite | None
    involuntary_switches: int | None
    other_cpus: Finite | None = None
    throttled_seconds: Finite | None = None


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
    seconds: list[Positive]


class ProcessRecord(Record):
    """One timing process. On a cluster ``machine`` names the machine on which it ran, else it is empty.

    ``disturbances``: what shared the machine of a cluster during the timing, in one line each.
    """

    seed: int
    conditions: list[ConditionsRecord]
    pools: list[PoolRecord]
    samples: list[SampleRecord]
    machine: str = ""
    disturbances: list[str] = []


class SourceRecord(Record):
    """The copy of the project that was measured; ``commit`` and ``changed`` are null where it is no git checkout.

    ``changed``: whether it has uncommitted changes. ``other_checkout``: the checkout of the project in which the
    command was given, if that is another one.
    """

    folder: str
    commit: str | None
    changed: bool | None
    other_checkout: str | None


class Document(Record):
    """The fields that most documents share. ``source`` is missing in documents of earlier versions."""

    command: str
    version: str
    started: str
    finished: str
    machine: dict[str, Any]
    source: SourceRecord | None = None


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
    timing_mutants: list[MutantRow] = []


class CheckpointRecord(Record):
    """The fields of every checkpoint: the settings, which a resumed run must share, and the start of the run.

    ``digest``: SHA-256 of the other fields as JSON, by which a damaged file is recognized.
    """

    settings: dict[str, Any]
    started: str
    digest: str = ""


Status = Literal["installed", "not installed", "unavailable", "broken"]


class BackendRow(Record):
    """One backend as ``mlpbench backends`` lists it."""

    backend: str
    origin: str
    status: Status
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
