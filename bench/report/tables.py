"""The tables of ``run``, ``compare`` and ``backends``, as rich renderables, and helpers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import inf

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.records.schema import BackendRow, CompileRow, Ratio, TimingRow
from bench.report.layout import Paragraph
from pairbench import statistics
from pairbench.measure import AA_CONTROL
from pairbench.wording import counted, in_percent

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NONE = "-"
AA_LIMIT, AA_WIDE = 0.02, 0.1
DOUBTFUL = " ?"
"""Mark of a ratio in a case whose A/A interval is wide."""
WITHIN_RUN = (
    "An interval is for the median over the processes, within this run: at another time or on another machine, the "
    "ratio may lie outside."
)
LEGEND = (
    Paragraph("speedup: time of the reference ÷ time of the backend, with its 95 % interval."),
    Paragraph(WITHIN_RUN),
    Paragraph("ulps: largest error, in units in the last place."),
    Paragraph("of bound: largest error, in % of the bound on the rounding error; above 100 %, the backend is wrong."),
)


def duration(seconds: float | None) -> str:
    """A duration in s, ms, µs or ns, to three digits."""
    if seconds is None:
        return NONE
    scale, unit = next((pair for pair in UNITS if seconds >= pair[0] * 0.9995), UNITS[-1])
    return f"{number(seconds / scale)} {unit}"


def number(value: float | None) -> str:
    """A number to three digits; from a million on, in scientific notation to two digits."""
    if value is None:
        return NONE
    if abs(value) >= 1e6:
        return f"{value:.2g}"
    if abs(value) >= 999.5:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def part(share: float | None) -> str:
    """A share of the roofline, to two decimals."""
    return NONE if share is None else f"{share:.2f}"


def interval(ratio: Ratio | None) -> str:
    """An estimate with its interval."""
    if ratio is None:
        return NONE
    if ratio.low is None:
        return number(ratio.estimate)
    return f"{number(ratio.estimate)} [{number(ratio.low)}, {number(ratio.high)}]"


def is_wide(control: Ratio) -> bool:
    """Whether the interval of an A/A control reaches further than AA_WIDE from 1, or is unknown."""
    return control.low is None or control.high is None or max(control.high, 1 / control.low) > 1 + AA_WIDE


def marked_interval(row: TimingRow, case_rows: Sequence[TimingRow]) -> str:
    """A row's speedup with its interval, marked if the A/A interval of its case is wide."""
    wide = any(other.arm == AA_CONTROL and other.speedup and is_wide(other.speedup) for other in case_rows)
    return interval(row.speedup) + (DOUBTFUL if wide and row.speedup else "")


def case_title(row: TimingRow) -> str:
    """The title of a row's case, without the dtype."""
    return row.case.title


def threads(rows: Sequence[TimingRow]) -> str:
    """A title's suffix for several threads. All rows have the same number of threads."""
    return "" if rows[0].threads == 1 else f", {rows[0].threads} threads"


def by_case(rows: Sequence[TimingRow]) -> Iterator[tuple[str, list[TimingRow]]]:
    """Consecutive rows of the same case, with the case's title."""
    for title, members in groupby(rows, case_title):
        yield title, list(members)


def timings(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """A table for each case, and below it the reasons of backends that failed."""
    for title, members in by_case(rows):
        has_roofline = any(row.lower_bound_seconds is not None for row in members)
        speedup = "speedup" if has_roofline else f"speedup over {members[0].reference}"
        table = plain("backend", "time", speedup, "ulps", "of bound", *(["share"] if has_roofline else []))
        widths = (20, 7, 20, 5, 8, 5) if has_roofline else (20, 7, 25, 6, 8)
        for column, width in zip(table.columns, widths, strict=True):
            column.min_width = width
        for row in members:
            share = NONE if row.share is None else f"{number(100 * row.share)} %"
            is_reference = row.arm == row.reference
            table.add_row(
                row.arm,
                _time(row),
                "1" if is_reference and row.ok else marked_interval(row, members),
                number(row.ulps) if row.ok else NONE,
                share if row.ok else NONE,
                *([part(row.roofline_share)] if has_roofline else []),
                style="bold" if is_reference else "dim" if row.arm == AA_CONTROL else None,
            )
        bounds = {row.dtype: row.lower_bound_seconds for row in sorted(members, key=lambda row: row.dtype)}
        dtypes = [dtype + (f" (≥ {duration(bound)})" if has_roofline else "") for dtype, bound in bounds.items()]
        yield Text(f"{title}, {' and '.join(dtypes)}{threads(members)}", style="bold")
        yield table
        yield from (Text(f"{row.arm} failed: {row.reason}", style="red") for row in members if not row.ok)
        yield ""


def unsupported(entries: Iterable[tuple[str, str, str]]) -> Iterator[Paragraph]:
    """A sentence for each backend and reason. ``entries`` are tuples of backend, unsupported operation and reason."""
    operations: dict[tuple[str, str], dict[str, None]] = {}
    for backend, operation, reason in entries:
        operations.setdefault((backend, reason), {})[operation] = None
    for (backend, reason), names in operations.items():
        yield Paragraph(f"{backend} does not support {', '.join(names)}, shown as a dash: {reason}")


def changed_settings(rows: Iterable[TimingRow]) -> Iterator[Paragraph]:
    """A sentence for each backend and setting of the process that the backend changed."""
    for arm, remark in dict.fromkeys((row.arm, remark) for row in rows for remark in row.remarks):
        yield Paragraph(f"{arm} {remark} during its calls; settings were restored after every sample.")


def item(text: str) -> Paragraph:
    """A sentence as an item of a list."""
    return Paragraph(text, start="- ")


def untimed(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """A sentence for each backend and reason of the rows that were not timed because of an unsupported operation."""
    entries = [(row.backend, row.operation, row.reason) for row in rows if row.ok and row.reason]
    if entries:
        yield from unsupported(entries)
        yield ""


def compiling(compiled: Sequence[CompileRow], rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """A table of compile times, and one of break-even points: a row per case and a column per backend."""
    if not compiled:
        return
    text = f"time to compile{threads(rows)}: until every operation on {compiled[0].network} has returned once"
    yield Text(text, style="bold")
    table = plain("backend", "cold", "cached")
    for times in compiled:
        table.add_row(times.backend, duration(times.cold_seconds), duration(times.cached_seconds))
    yield table
    yield ""
    yield Text(f"break-even with {rows[0].reference}: calls that make up for compiling, cold / cached", style="bold")
    table = plain("case", *(times.backend for times in compiled))
    for title, members in by_case(rows):
        seconds = {row.arm: row.seconds for row in members}
        reference = seconds.get(rows[0].reference)
        table.add_row(title, *(_calls(times, reference, seconds.get(times.backend)) for times in compiled))
    yield table
    yield ""


def aa_line(rows: Sequence[TimingRow]) -> Paragraph:
    """A summary of the A/A control of the rows."""
    return aa_summary(
        [(row.speedup, row.reference, case_title(row)) for row in rows if row.arm == AA_CONTROL and row.speedup]
    )


def aa_summary(controls: Sequence[tuple[Ratio, str, str]]) -> Paragraph:
    """A summary of A/A controls, given as the ratio, the backend and the title of the case."""
    if not controls:
        return Paragraph("A/A control: none was timed.")
    within = sum(abs(ratio.estimate - 1) <= AA_LIMIT for ratio, _, _ in controls)
    names = {backend for _, backend, _ in controls}
    who = f"{controls[0][1]} against itself" if len(names) == 1 else "the fastest backend against itself"

    def place(control: tuple[Ratio, str, str]) -> str:
        ratio, backend, title = control
        return f"{interval(ratio)} ({title if len(names) == 1 else f'{backend} at {title}'})"

    worst = max(controls, key=lambda control: abs(control[0].estimate - 1))
    widest = max(controls, key=lambda control: _width(control[0]))
    text = (
        f"A/A control, {who}: within {in_percent(AA_LIMIT)} in {within} of {counted(len(controls), 'case')}; "
        f"largest deviation {in_percent(abs(worst[0].estimate - 1), 1)}: {place(worst)}"
    )
    return Paragraph(f"{text}; widest interval: {place(widest)}." if widest != worst else f"{text}.")


def _width(ratio: Ratio) -> float:
    return inf if ratio.low is None or ratio.high is None else ratio.high / ratio.low


def comparison(rows: Sequence[TimingRow], a: str, b: str) -> Iterator[RenderableType]:
    """A table of two backends' times and their ratio for each case; below it, in how many cases each is faster."""
    table = plain(f"case{threads(rows)}", a, b, "ratio of the times")
    ratios, failures = [], []
    for title, members in by_case(rows):
        by_arm = {row.arm: row for row in members}
        ratio = by_arm[b].speedup
        table.add_row(
            f"{title}, {by_arm[b].dtype}", *(_time(by_arm[arm]) for arm in (a, b)), marked_interval(by_arm[b], members)
        )
        ratios += [ratio] if ratio else []
        failures += [f"{row.arm} failed ({title}): {row.reason}" for row in members if not row.ok]
    yield table
    yield from (Text(text, style="red") for text in failures)
    yield ""
    yield f"ratio: time of {a} ÷ time of {b}; above 1, {b} is faster."
    for name, count in (
        (b, sum(ratio.low is not None and ratio.low > 1 for ratio in ratios)),
        (a, sum(ratio.high is not None and ratio.high < 1 for ratio in ratios)),
    ):
        yield f"{name} is faster, by the whole 95 % interval, in {count} of {counted(len(ratios), 'case')}."
    yield Paragraph(WITHIN_RUN)


def backends(rows: Sequence[BackendRow]) -> Iterator[RenderableType]:
    """A table of the backends, and below it the reasons of missing or broken ones."""
    table = plain("backend", "origin", "status", "library", "dtypes", "what it is", left=6)
    for row in rows:
        libraries = ", ".join(f"{name} {version}" for name, version in row.libraries.items())
        table.add_row(
            row.backend, row.origin, row.status, libraries or NONE, ", ".join(row.dtypes) or NONE, row.description
        )
    yield table
    yield from (Text(row.reason) for row in rows if row.reason)


def _time(row: TimingRow) -> str:
    return duration(row.seconds) if row.ok else "failed"


def _calls(times: CompileRow, reference: float | None, backend: float | None) -> str:
    if reference is None or backend is None:
        return NONE
    both = (times.cold_seconds, times.cached_seconds)
    calls = [statistics.break_even(seconds, reference, backend) for seconds in both]
    return "never" if calls[0] is None else " / ".join(f"{count:,}" for count in calls)


def plain(*headings: str, left: int = 1) -> Table:
    """An empty table whose first ``left`` columns are aligned to the left, and the others to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right")
    return table
