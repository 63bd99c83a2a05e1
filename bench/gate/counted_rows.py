"""Adds to the gate's rows how many instructions a call executes in the base and in the head.

The counts explain a verdict. They are made after it, and change nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bench.records.gate_schema import CountRecord, GateRow
from pairbench import instruction_counts, valgrind
from pairbench.instruction_counts import CallCount, CountPlan
from pairbench.progress import Progress
from pairbench.rounds import RoundPlan
from pairbench.wording import counted
from pairbench.worktrees import Worktree, WorktreeError

LONGEST_CALL = 0.1
"""Seconds of a call above which it is not counted. Counting takes up to a thousand times as long as the call."""
Counter = Callable[[Mapping[str, Worktree], Sequence[CountPlan]], Iterator[CallCount]]
COUNTERS: Mapping[str, Counter] = MappingProxyType(
    {
        "bytecode": instruction_counts.count_bytecode,
        "instructions": instruction_counts.count_machine_instructions,
    }
)
"""What is counted, by the field of the row."""
TITLES = {"bytecode": "bytecode instructions", "instructions": "machine instructions"}


def add_counts(
    rows: Mapping[str, GateRow],
    plans: Mapping[str, RoundPlan],
    side_worktrees: Mapping[str, Worktree],
    progress: Progress,
) -> tuple[list[GateRow], list[str]]:
    """The rows with their counts, and a note if machine instructions cannot be counted here.

    ``rows`` and ``plans`` are by key. A row without a measured change is not counted. A count that fails or is
    interrupted adds its reason to its row, and nothing else.
    """
    measured = [key for key, row in rows.items() if row.change is not None]
    short = [key for key in measured if (rows[key].base_seconds or 0.0) <= LONGEST_CALL]
    reasons = {key: [f"a call takes longer than {LONGEST_CALL:g} s"] for key in measured if key not in short}
    obstacle = valgrind.obstacle()
    fields = [field for field in COUNTERS if short and (field == "bytecode" or not obstacle)]
    found: dict[str, dict[str, Any]] = {key: {} for key in rows}
    for (field, key), count in _count(fields, short, plans, side_worktrees, progress).items():
        if count.reason:
            reasons.setdefault(key, []).append(f"{TITLES[field]}: {count.reason}")
        else:
            found[key][field] = CountRecord(base=count.by_side["base"], head=count.by_side["head"])
    notes = [f"Machine instructions are not counted: {obstacle}."] if obstacle and short else []
    new = {key: {**found[key], "uncounted": "; ".join(reasons.get(key, []))} for key in rows}
    return [row.model_copy(update=new[key]) for key, row in rows.items()], notes


def _count(
    fields: Sequence[str],
    keys: Sequence[str],
    plans: Mapping[str, RoundPlan],
    side_worktrees: Mapping[str, Worktree],
    progress: Progress,
) -> dict[tuple[str, str], CallCount]:
    """The counts by field and row. What an interruption or a lost worktree prevented has the reason."""
    to_count = [CountPlan(key=key, workload=plans[key].workload, loops=plans[key].loops) for key in keys]
    counts: dict[tuple[str, str], CallCount] = {}
    reason = ""
    try:
        for field in fields:
            progress.stage(f"counting the {TITLES[field]} of {counted(len(keys), 'row')}")
            for number, count in enumerate(COUNTERS[field](side_worktrees, to_count), start=1):
                counts[field, count.key] = count
                progress.stage(f"counting {TITLES[field]}, {number} of {counted(len(keys), 'row')}")
    except KeyboardInterrupt:
        reason = "the count was interrupted"
    except (WorktreeError, OSError) as error:
        reason = str(error)
    for place in [(field, key) for field in fields for key in keys if (field, key) not in counts]:
        counts[place] = CallCount(place[1], reason=reason)
    return counts
