"""The tables of ``run``, ``compare`` and ``backends``, as rich renderables that fit into 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import log10

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench import cases
from bench.records.schema import BackendRow, CompileRow, Ratio, TimingRow
from pairbench import statistics
from pairbench.measure import AA_CONTROL

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NONE = "-"
AA_LIMIT = 0.02
LEGEND = """\
speedup: time of the reference ÷ time of the backend, with its 95 % interval.
ulps: worst error in units in the last place; of bound: what part that is of
the error that rounding may cause at most. Beyond 100 % a backend is wrong."""
BARS = ("forward", 1)
BAR_WIDTH = 46


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them, to three digits."""
    if seconds is None:
        return NONE
    scale, unit = next((pair for pair in UNITS if seconds >= pair[0] * 0.9995), UNITS[-1])
    return f"{number(seconds / scale)} {unit}"


def number(value: float | None) -> str:
    """A number to three digits, in powers of ten only beyond a million."""
    if value is None:
        return NONE
    if abs(value) >= 1e6:
        return f"{value:.2g}"
    if abs(value) >= 999.5:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def part(share: float | None) -> str:
    """A share of the limit."""
    return NONE if share is None else f"{share:.2f}"


def interval(ratio: Ratio | None) -> str:
    """An estimate with its interval."""
    if ratio is None:
        return NONE
    if ratio.low is None:
        return number(ratio.estimate)
    return f"{number(ratio.estimate)} [{number(ratio.low)}, {number(ratio.high)}]"


def case_title(row: TimingRow) -> str:
    """The case of a row in words, but for its dtype."""
    return cases.title(row.operation, row.layer_sizes, row.batch, row.epochs, row.batches)


def threads(rows: Sequence[TimingRow]) -> str:
    """What a title adds where there are several threads; one command gives all rows the same."""
    return "" if rows[0].threads == 1 else f", {rows[0].threads} threads"


def by_case(rows: Sequence[TimingRow]) -> Iterator[tuple[str, list[TimingRow]]]:
    """Rows by case, which follow one another."""
    for title, members in groupby(rows, case_title):
        yield title, list(members)


def timings(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """A table for each case, and below it why a backend has no time."""
    for title, members in by_case(rows):
        limited = any(row.lower_bound_seconds is not None for row in members)
        speedup = "speedup" if limited else f"speedup over {members[0].reference}"
        table = plain("backend", "time", speedup, "ulps", "of bound", *(["share"] if limited else []))
        for column, width in zip(table.columns, (20, 7, 20, 5, 8, 5) if limited else (20, 7, 25, 6, 8), strict=True):
            column.min_width = width
        for row in members:
            share = NONE if row.share is None else f"{number(100 * row.share)} %"
            is_reference = row.arm == row.reference
            table.add_row(
                row.arm,
                _time(row),
                "1" if is_reference and row.ok else interval(row.speedup),
                number(row.ulps) if row.ok else NONE,
                share if row.ok else NONE,
                *([part(row.roofline_share)] if limited else []),
                style="bold" if is_reference else "dim" if row.arm == AA_CONTROL else None,
            )
        floors = {row.dtype: row.lower_bound_seconds for row in sorted(members, key=lambda row: row.dtype)}
        dtypes = [dtype + (f" (≥ {duration(floor)})" if limited else "") for dtype, floor in floors.items()]
        yield Text(f"{title}, {' and '.join(dtypes)}{threads(members)}", style="bold")
        yield table
        yield from (Text(f"{row.arm} got no time: {row.reason}", style="red") for row in members if not row.ok)
        yield ""


def unsupported(found: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Why a dash stands where it does, from backends, their operations and the reasons: each reason once."""
    operations: dict[tuple[str, str], dict[str, None]] = {}
    for backend, operation, reason in found:
        operations.setdefault((backend, reason), {})[operation] = None
    for (backend, reason), names in operations.items():
        yield from wrapped(f"{backend} does not support {', '.join(names)} where there is a dash: {reason}")


def wrapped(text: str) -> list[str]:
    """A sentence in lines of 80 columns."""
    return textwrap.wrap(text, 80, subsequent_indent="  ", break_on_hyphens=False)


def item(text: str) -> list[str]:
    """The same as an item of a list."""
    return textwrap.wrap(text, 80, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def untimed(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """The same of the rows of what a backend lacks."""
    found = [(row.backend, row.operation, row.reason) for row in rows if row.ok and row.reason]
    if found:
        yield from unsupported(found)
        yield ""


def bars(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """The times of one call on the last network that one sample is sent through, as bars on a logarithmic scale."""
    calls = [(title, members) for title, members in by_case(rows) if (members[0].operation, members[0].batch) == BARS]
    if not calls:
        return
    title, members = calls[-1]
    timed = [(row, row.seconds) for row in members if row.seconds is not None and row.arm != AA_CONTROL]
    if len(timed) < 2:
        return
    shortest, longest = min(seconds for _, seconds in timed), max(seconds for _, seconds in timed)
    decades = max(1.0, log10(longest / shortest))
    step = 10 ** (decades / (BAR_WIDTH - 1))
    yield Text(f"{title}: time of a call; each further █ is a factor of {step:.2f}", style="bold")
    names = max(20, *(len(row.arm) for row, _ in timed))
    for row, seconds in timed:
        width = 1 + round((BAR_WIDTH - 1) * log10(seconds / shortest) / decades)
        yield f"{row.arm:<{names}} {'█' * width} {duration(seconds)}"
    yield ""


def compiling(compiled: Sequence[CompileRow], rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """How long compiling takes, and after how many calls of a case it has paid for itself."""
    if not compiled:
        return
    text = f"compiling{threads(rows)}, until the first results of every operation on {compiled[0].network}"
    yield Text(text, style="bold")
    table = plain("backend", "cold", "from cache")
    for times in compiled:
        table.add_row(times.backend, duration(times.cold_seconds), duration(times.cached_seconds))
    yield table
    yield ""
    yield Text(f"calls after which it has paid, against {rows[0].reference}: cold / from cache", style="bold")
    table = plain("case", *(times.backend for times in compiled))
    for title, members in by_case(rows):
        seconds = {row.arm: row.seconds for row in members}
        reference = seconds.get(rows[0].reference)
        table.add_row(title, *(_calls(times, reference, seconds.get(times.backend)) for times in compiled))
    yield table
    yield ""


def aa_line(rows: Sequence[TimingRow]) -> str:
    """How far the reference is from itself."""
    return aa_summary(
        [
            (abs(row.speedup.estimate - 1), row.reference, case_title(row))
            for row in rows
            if row.arm == AA_CONTROL and row.speedup
        ]
    )


def aa_summary(found: Sequence[tuple[float, str, str]]) -> str:
    """In how many cases, each a distance from 1, a backend and a title, a backend was as fast as itself."""
    if not found:
        return "A/A arm: none was timed."
    within = sum(distance <= AA_LIMIT for distance, _, _ in found)
    distance, worst, title = max(found)
    names = {backend for _, backend, _ in found}
    who = f"{worst} against itself" if len(names) == 1 else "the fastest backend against itself"
    return (
        f"A/A arm, {who}: within {AA_LIMIT:.0%} in {within} of {len(found)} cases;\n"
        f"at worst off by {distance:.1%} ({title if len(names) == 1 else f'{worst} at {title}'})."
    )


def comparison(rows: Sequence[TimingRow], a: str, b: str) -> Iterator[RenderableType]:
    """For each case the times of two backends and their ratio with its interval; below, how often either is faster."""
    table = plain(f"case{threads(rows)}", a, b, "ratio of the times")
    ratios, failures = [], []
    for title, members in by_case(rows):
        by_arm = {row.arm: row for row in members}
        ratio = by_arm[b].speedup
        table.add_row(f"{title}, {by_arm[b].dtype}", *(_time(by_arm[arm]) for arm in (a, b)), interval(ratio))
        ratios += [ratio] if ratio else []
        failures += [f"{row.arm} got no time ({title}): {row.reason}" for row in members if not row.ok]
    yield table
    yield from (Text(text, style="red") for text in failures)
    yield ""
    yield f"The ratio is time of {a} ÷ time of {b}: above 1, {b} is faster."
    for name, count in (
        (b, sum(ratio.low is not None and ratio.low > 1 for ratio in ratios)),
        (a, sum(ratio.high is not None and ratio.high < 1 for ratio in ratios)),
    ):
        yield f"{name} is shown to be faster in {count} of {len(ratios)} cases."


def backends(rows: Sequence[BackendRow]) -> Iterator[RenderableType]:
    """The list of backends, and below it what is missing or broken."""
    table = plain("backend", "origin", "status", "library", "dtypes", "what it is", left=6)
    for row in rows:
        libraries = ", ".join(f"{name} {version}" for name, version in row.libraries.items())
        table.add_row(
            row.backend, row.origin, row.status, libraries or NONE, ", ".join(row.dtypes) or NONE, row.description
        )
    yield table
    yield from (Text(row.reason) for row in rows if row.reason)


def _time(row: TimingRow) -> str:
    return duration(row.seconds) if row.ok else "no time"


def _calls(times: CompileRow, reference: float | None, backend: float | None) -> str:
    if reference is None or backend is None:
        return NONE
    both = (times.cold_seconds, times.cached_seconds)
    calls = [statistics.break_even(seconds, reference, backend) for seconds in both]
    return "never" if calls[0] is None else " / ".join(f"{count:,}" for count in calls)


def plain(*headings: str, left: int = 1) -> Table:
    """An empty table, its first ``left`` columns of text and the others of numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right")
    return table
