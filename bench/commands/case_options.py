"""The options of a command that choose the cases to time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cases import Case


@dataclass(frozen=True)
class CaseOptions:
    """The values of the options."""

    network: Sequence[str]
    operation: Sequence[str]
    batch: Sequence[int]
    hidden: str
    output_activation: str
    loss: str
    dtype: str | None
    threads: int

    @property
    def functions(self) -> dict[str, str]:
        """The activations and the loss, as arguments of ``Network``."""
        return {"hidden": self.hidden, "output": self.output_activation, "loss": self.loss}

    def select(self) -> list[Case]:
        """The cases. Raises ValueError or TypeError, with a message of one line, for a wrong value."""
        from bench.cases import DTYPES, select_cases  # imports NumPy, which must wait for the thread counts

        return select_cases(
            self.network,
            self.operation,
            DTYPES[0] if self.dtype is None else self.dtype,
            self.threads,
            batches=self.batch,
            functions=self.functions,
        )

    def record(self) -> dict[str, Any]:
        """The values, for the options of a document."""
        return {
            "network": list(self.network),
            "operation": list(self.operation),
            "batch": list(self.batch),
            **self.functions,
            "dtype": self.dtype,
            "threads": self.threads,
        }
