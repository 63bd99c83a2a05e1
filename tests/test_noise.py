"""What a table says about a disturbed measurement."""

from bench.records.schema import ConditionsRecord, ProcessRecord, Ratio
from bench.report import tables
from bench.report.noise import noise_paragraphs
from tests.helpers import timing_row

LEGEND = "?: in this case the interval of the A/A control reaches further than 10 % from 1"


def rows(*aa, operation="forward"):
    control = timing_row(arm="A/A", backend="python_loops", speedup=ratio(*aa), operation=operation)
    return [timing_row(speedup=ratio(65.0, 29.0, 143.0), operation=operation), control]


def ratio(estimate, low, high):
    return Ratio(estimate=estimate, low=low, high=high)


def process(other_cpus=0.0, steal_seconds=0.0):
    conditions = ConditionsRecord(
        wall_seconds=10.0,
        steal_seconds=steal_seconds,
        load_average=None,
        cpu_mhz=None,
        involuntary_switches=None,
        other_cpus=other_cpus,
    )
    return ProcessRecord(seed=0, conditions=[conditions], pools=[], samples=[])


def cells(table, heading):
    (column,) = (column for column in table.columns if column.header == heading)
    return list(column.cells)


def shown(timing_rows):
    return cells(list(tables.timings(timing_rows))[1], "speedup over python_loops")


def test_the_rows_of_a_case_with_a_wide_aa_interval_are_marked():
    assert shown(rows(1.0, 0.33, 3.07)) == ["65.0 [29.0, 143] ?", "1.00 [0.330, 3.07] ?"]
    assert shown(rows(1.0, None, None)) == ["65.0 [29.0, 143] ?", "1.00 ?"]
    assert shown(rows(1.0, 0.95, 1.09)) == ["65.0 [29.0, 143]", "1.00 [0.950, 1.09]"]


def test_the_footer_gives_the_interval_and_says_what_to_do():
    notes = noise_paragraphs([*rows(1.0, 0.33, 3.07), *rows(1.04, 0.99, 1.09, operation="train")], [process()], 2)
    text = " ".join(note.text for note in notes)
    assert "within 2 % in 1 of 2 cases; largest deviation 4.0 %: 1.04 [0.990, 1.09] (train 3-3-1, 1 sample)" in text
    assert "widest interval: 1.00 [0.330, 3.07] (forward 3-3-1, 1 sample)." in text
    assert LEGEND in text
    assert "noisy" not in text
    assert (
        notes[-1].text == "Repeat the measurement when nothing else runs here; a run without --quick is more certain."
    )


def test_what_others_took_of_the_cpus_is_told():
    calm = noise_paragraphs(rows(1.0, 0.99, 1.01), [process(other_cpus=0.1), process()], 2)
    assert calm == [tables.aa_line(rows(1.0, 0.99, 1.01))]
    notes = noise_paragraphs(rows(1.0, 0.99, 1.01), [process(other_cpus=1.2, steal_seconds=1.0), process()], 2)
    assert [note.text for note in notes[1:]] == [
        "This machine is noisy: 2.5 % of the CPU time was taken by other virtual machines; "
        "other processes took 30 % of the CPU time.",
        "Repeat the measurement when nothing else runs here; a run without --quick is more certain.",
    ]
