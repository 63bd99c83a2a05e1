"""The arms of the suite: backends at a case, which are timed against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.cases import Case
from impls import Backend
from pairbench.measure import AA_CONTROL


@dataclass(frozen=True)
class Arm:
    """A backend at a case. ``name`` is unique among the arms of a group.

    The cases of a group's arms may differ in dtype: a reference that does not support float32 is timed in float64.
    """

    name: str
    backend: str
    case: Case


def arms_of_case(
    case: Case, reference: Backend, others: Sequence[Backend], more_dtypes: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """The arms of a case: the reference, the A/A control, and the other backends.

    If the reference does not support the case's dtype, it is timed in the first dtype that it supports. The others are
    timed in ``more_dtypes``, too, as far as they support them. They have an arm in the case's dtype in any case.
    """
    reference_case = case if case.dtype in reference.dtypes else replace(case, dtype=reference.dtypes[0])
    return (
        Arm(reference.name, reference.name, reference_case),
        Arm(AA_CONTROL, reference.name, reference_case),
        *(
            Arm(name if dtype == case.dtype else f"{name} {dtype}", name, replace(case, dtype=dtype))
            for name, dtypes in ((backend.name, backend.dtypes) for backend in others)
            for dtype in dict.fromkeys((case.dtype, *more_dtypes))
            if dtype in dtypes or dtype == case.dtype
        ),
    )
