"""Cases: combinations of network, operation, batch size, dtype and number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from impls import Network
from impls._check import suggestion

OPERATIONS = ("forward", "gradient", "train")
DTYPES = ("float64", "float32")
BATCH = 64
KINDS = (("forward", 1), ("forward", BATCH), ("gradient", BATCH), ("train", BATCH))
"""Operations and batch sizes of the cases of one network."""

Kinds = Sequence[tuple[str, int]]

DEFAULT_CASES: Mapping[str, Kinds] = {"3-3-1": KINDS, "3-3-3-1": KINDS[:1], "100-100-50-10": KINDS}


@dataclass(frozen=True)
class Case:
    """A combination of network, operation, batch size, dtype and number of threads.

    ``forward`` with batch 1 passes a single sample, a vector; all other cases pass a batch, a matrix. ``train`` runs
    ``epochs`` epochs over the batch, with one update per epoch or in mini-batches of ``batches`` samples.
    """

    network: Network
    operation: str
    batch: int
    dtype: str = "float64"
    threads: int = 1
    epochs: int = 1
    batches: int | None = None

    @property
    def steps(self) -> list[slice]:
        """The slice of the batch for each update of an epoch."""
        size = self.batches or self.batch
        return [slice(start, min(start + size, self.batch)) for start in range(0, self.batch, size)]

    def fields(self) -> dict[str, Any]:
        """The fields that describe the case in a row of a document."""
        network = self.network
        return {
            "layer_sizes": list(network.layer_sizes),
            "hidden": network.hidden,
            "output": network.output,
            "loss": network.loss,
            "operation": self.operation,
            "batch": self.batch,
            "dtype": self.dtype,
            "threads": self.threads,
            "epochs": self.epochs,
            "batches": self.batches,
        }

    def __str__(self) -> str:
        threads = "" if self.threads == 1 else f", {self.threads} threads"
        return f"{self.title}, {self.dtype}{threads}"

    @property
    def title(self) -> str:
        """A description of the case without its dtype and its threads; usual functions of the network are left out."""
        network, usual = self.network, Network(self.network.layer_sizes)
        name = f"{self.operation} {network}"
        if (network.hidden, network.output) != (usual.hidden, usual.output):
            name += f" {network.hidden}/{network.output}"
        if network.loss != usual.loss:
            name += f" {network.loss}"
        words = [name, samples(self.batch)]
        if self.batches is not None:
            words.append(f"updates by {samples(self.batches)}")
        if self.epochs > 1:
            words.append(f"{self.epochs} epochs")
        return ", ".join(words)


def samples(batch: int) -> str:
    """A description of a batch size."""
    return "1 sample" if batch == 1 else f"batch {batch}"


def select_cases(
    networks: Sequence[str] = (),
    operations: Sequence[str] = (),
    dtype: str = "float64",
    threads: int = 1,
    default: Mapping[str, Kinds] = DEFAULT_CASES,
    batches: Sequence[int] = (),
    functions: Mapping[str, str] | None = None,
) -> list[Case]:
    """Cases of the named networks and operations, by default those in ``default``.

    A network without a case in ``default`` for these operations gets the cases in ``KINDS``. ``batches`` replace the
    default batch sizes. ``functions`` are the activations and the loss of all networks, as arguments of ``Network``.
    Raises ValueError or TypeError, with a message of one line, for an invalid argument.
    """
    for batch in batches:
        if batch < 1:
            raise ValueError(f"a batch must have at least 1 sample, not {batch}")
    for operation in operations:
        _require_one_of("operation", operation, OPERATIONS)
    _require_one_of("dtype", dtype, DTYPES)
    cases = []
    for name in networks or default:
        network = Network.parse(name, **functions or {})
        kinds = _kinds(default.get(str(network), ()), operations) or _kinds(KINDS, operations)
        sizes = [(operation, size) for operation, batch in kinds for size in batches or (batch,)]
        cases += [Case(network, operation, batch, dtype, threads=threads) for operation, batch in sizes]
    return sorted(dict.fromkeys(cases), key=lambda case: (OPERATIONS.index(case.operation), case.batch))


def _kinds(kinds: Kinds, operations: Sequence[str]) -> list[tuple[str, int]]:
    return [kind for kind in kinds if not operations or kind[0] in operations]


def _require_one_of(kind: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}{suggestion(name, names)}; choose from {', '.join(names)}")
