"""What is timed against each other: a backend at a case, under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.cases import Case
from impls import Backend
from pairbench.measure import AA_CONTROL


@dataclass(frozen=True)
class Arm:
    """A backend at a case. ``name`` is unique among the arms of a case.

    The case is the arm's own: a reference without float32 runs beside float32 arms in float64.
    """

    name: str
    backend: str
    case: Case


def arms_of_case(
    case: Case, reference: Backend, others: Sequence[Backend], more_dtypes: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """Arms of a case: the reference, the A/A control, and the others, each in the dtypes that it supports.

    A reference that does not support the case's dtype runs in the first that it supports. The others run in
    ``more_dtypes`` as well.
    """
    own = case if case.dtype in reference.dtypes else replace(case, dtype=reference.dtypes[0])
    return (
        Arm(reference.name, reference.name, own),
        Arm(AA_CONTROL, reference.name, own),
        *(
            Arm(name if dtype == case.dtype else f"{name} {dtype}", name, replace(case, dtype=dtype))
            for name, dtypes in ((backend.name, backend.dtypes) for backend in others)
            for dtype in dict.fromkeys((case.dtype, *more_dtypes))
            if dtype in dtypes
        ),
    )
