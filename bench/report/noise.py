"""Notes on how far a disturbed measurement can be trusted, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.schema import ProcessRecord, TimingRow
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.machine import signs_of_load
from pairbench.measure import AA_CONTROL
from pairbench.wording import in_percent

ADVICE = "Repeat the measurement when nothing else runs here; a run without --quick is more certain."


def noise_paragraphs(rows: Sequence[TimingRow], processes: Sequence[ProcessRecord], cpus: int) -> list[Paragraph]:
    """The summary of the A/A control, what the mark means if there is one, the signs of load, and what to do."""
    wide = any(row.arm == AA_CONTROL and row.speedup and tables.is_wide(row.speedup) for row in rows)
    signs = signs_of_load([conditions for process in processes for conditions in process.conditions], cpus)
    notes = [tables.aa_line(rows)]
    if wide:
        notes.append(
            Paragraph(
                f"{tables.DOUBTFUL.strip()}: in this case the interval of the A/A control reaches further than "
                f"{in_percent(tables.AA_WIDE)} from 1; the other ratios are no better than that."
            )
        )
    if signs:
        notes.append(Paragraph(f"This machine is noisy: {'; '.join(signs)}."))
    if wide or signs:
        notes.append(Paragraph(ADVICE))
    return notes
