"""The computations of ``scale``: predicted times, and the choice of the points that are timed."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import impls
from bench.cases import Case
from bench.records import scale_schema, schema
from bench.report import scale_tables
from bench.report.layout import Paragraph
from bench.scale import growth, points
from bench.scale.extrapolation import extrapolate_seconds
from bench.scale.result import ScaleResult
from bench.scale.settings import scale_settings as scale_settings
from impls import Network
from pairbench.progress import NoProgress
from tests.helpers import timing_row as row
from tests.made_up_times import make_up_times

SIZES = st.lists(st.integers(1, 4096), min_size=2, max_size=13, unique=True).map(sorted)
POSITIVE = st.floats(1e-7, 1e-2)
POWERS = st.floats(0, 3)


@given(POSITIVE, POWERS, SIZES, st.integers(4097, 10**6))
def test_a_power_law_is_predicted(seconds, power, sizes, size):
    timed = [(timed_size, seconds * timed_size**power) for timed_size in sizes]
    assert extrapolate_seconds(timed, size, 1) == pytest.approx(seconds * size**power, rel=1e-6)


def test_predictions_by_hand():
    assert extrapolate_seconds([], 4, 2) is None
    assert extrapolate_seconds([(1, 0.5)], 2, 2) == 2  # one timed size: in proportion to the multiplications
    assert extrapolate_seconds([(1, 5.0), (2, 0.5), (4, 1.0)], 16, 2) == pytest.approx(
        4
    )  # the last two timed sizes count
    assert extrapolate_seconds([(1, 0.3), (2, 0.2)], 4, 2) == 0.2  # never below the last timed size


def test_one_dimension_grows_at_a_time_from_the_base():
    base = Case(Network((32, 32, 32)), "forward", 1)
    for dimension in points.DIMENSIONS:
        cases = [dimension.case(value) for value in dimension.values]
        assert base in cases
        for case in cases:
            sizes = case.network.layer_sizes
            changed = {
                "width": set(sizes) != {32},
                "depth": len(sizes) != 3,
                "batch": case.batch != 1,
            }
            assert [name for name, differs in changed.items() if differs] in ([], [dimension.name])
    assert [(dimension.values[0], dimension.values[-1]) for dimension in points.DIMENSIONS] == [
        (1, 1024),
        (1, 16),
        (1, 4096),
    ]
    assert len(points.all_cases()) == len(set(points.all_cases())) == 2 + 11 + 8 + 13 - 2


def test_a_backend_that_compiles_for_every_shape_is_timed_at_few_sizes():
    vectorized, plain = impls.load("numpy_vectorized"), impls.load("numpy_plain")
    shaped = replace(vectorized, model=type("Shaped", (vectorized.model,), {"compiles_shapes": True}))
    width = points.DIMENSIONS[0]
    timed = [value for value in width.values if shaped in points.backends_at(width.case(value), [shaped, plain])]
    # 32 is timed because it is the base, which is also the first batch size.
    assert timed == [1, 8, 32, 64, 512]
    assert all(plain in points.backends_at(case, [shaped, plain]) for case in points.all_cases())


def a_state(rows=(), not_run=(), compiled=(), processes=(), settings=None):
    return scale_schema.ScaleState(
        settings=settings or {},
        started="2026-01-01T00:00:00+00:00",
        rows=list(rows),
        not_run=list(not_run),
        bisections=0,
        compile=list(compiled),
        processes=list(processes),
    )


LAWS = {"python_loops": 1e-6, "numpy_plain": 1e-8}


def simulated(monkeypatch, laws):
    """Simulate times: ``laws`` gives a backend's seconds per multiplication. Returns the list of measured groups."""
    return make_up_times(monkeypatch, lambda arm: seconds(arm, laws))


def seconds(arm, laws):
    return laws[arm.backend] * arm.case.batch * sum(n_in * n_out for n_in, n_out in arm.case.network.shapes)


def test_calls_predicted_over_one_second_are_not_run(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    saved = []
    backends = [impls.load(name) for name in LAWS]
    done = growth.measure_growth(a_state(), backends, growth.EFFORT, NoProgress(), saved.append, growth.LocalTimer())
    assert saved[-1] == done
    slowest = {name: max(seconds(arm, LAWS) for group in groups for arm in group if arm.name == name) for name in LAWS}
    assert slowest["python_loops"] == pytest.approx(2048 * 256 * 1e-6)  # at batch 512 it would be 1.05 s
    assert slowest["numpy_plain"] == pytest.approx(2048 * 4096 * 1e-8)
    not_run = {(row.layer_sizes[0], row.batch): row.predicted_seconds for row in done.not_run}
    assert not_run == pytest.approx(
        {(1024, 1): 2.097152} | {(32, batch): 2048 * batch * 1e-6 for batch in (512, 1024, 2048, 4096)}
    )
    rows = {(row.dimension, row.value, row.arm): row for row in ScaleResult(done, list(LAWS)).scale_rows()}
    assert rows["width", 1024, "python_loops"].reason == "not run: a call would take too long"
    assert rows["width", 1024, "python_loops"].ok
    assert rows["width", 1024, "numpy_plain"].speedup is None
    assert rows["width", 512, "numpy_plain"].speedup.estimate == pytest.approx(100)


def test_the_fastest_is_in_every_block_and_every_case_comes_once(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    growth.measure_growth(
        a_state(),
        [impls.load(name) for name in LAWS],
        growth.EFFORT,
        NoProgress(),
        lambda state: None,
        growth.LocalTimer(),
    )
    first = {group[0].case: group[0].backend for group in groups}
    assert len(first) == len(groups) == len(points.all_cases())
    assert first[points.DIMENSIONS[0].case(1)] == "python_loops"  # nothing is known yet
    assert first[points.DIMENSIONS[0].case(2)] == "numpy_plain"


def test_growth_resumes_from_a_saved_state(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    backends, saved = [impls.load(name) for name in LAWS], []
    whole = growth.measure_growth(a_state(), backends, growth.EFFORT, NoProgress(), saved.append, growth.LocalTimer())
    groups.clear()
    resumed = growth.measure_growth(
        saved[4], backends, growth.EFFORT, NoProgress(), lambda state: None, growth.LocalTimer()
    )
    assert (resumed.rows, resumed.not_run) == (whole.rows, whole.not_run)
    before = {row.case for row in saved[4].rows}
    assert before.isdisjoint(group[0].case for group in groups)
    assert len(before) + len(groups) == len(points.all_cases())


def samples(case, arm, blocks):
    return schema.SampleRecord(
        **case.fields(),
        arm=arm,
        loops=1,
        block=list(blocks),
        position=[0] * len(blocks),
        seconds=list(blocks.values()),
    )


def process(*taken):
    return schema.ProcessRecord(seed=1, conditions=[], pools=[], samples=list(taken))


def test_ratios_are_paired_within_blocks_and_processes():
    case = points.DIMENSIONS[0].case(4)
    names = ["python_loops", "numpy_plain", "numba_simd"]
    rows = [row(**case.fields(), backend=name, arm=name) for name in names[:2]]
    rows.append(row(**case.fields(), backend="numba_simd", arm="numba_simd", ok=False, seconds=None))
    processes = [
        process(
            samples(case, "python_loops", {1: 2.0 * slowdown, 3: 4.0 * slowdown}),
            samples(case, "numpy_plain", {0: 9.0, 1: 1.0 * slowdown, 2: 9.0, 3: 2.0 * slowdown}),
            samples(case, "numba_simd", {1: 1.0}),
        )
        for slowdown in (1, 5)
    ]
    outcome = ScaleResult(a_state(rows, processes=processes), names)
    ratio = outcome.samples.ratio((case, "python_loops"), (case, "numpy_plain"))
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert outcome.samples.ratio((case, "python_loops"), (case, "numba_simd")) is None  # numba_simd failed
    found = {scale_row.arm: scale_row for scale_row in outcome.scale_rows()}
    assert found["numpy_plain"].speedup.estimate == pytest.approx(2)
    assert (found["numpy_plain"].dimension, found["numpy_plain"].value) == ("width", 4)
    assert found["numba_simd"].speedup is None


def test_crossovers_and_break_even_of_a_whole_run():
    width = points.DIMENSIONS[0]
    laws = {"python_loops": lambda n: 1e-6 * n, "numpy_plain": lambda n: 6e-6}
    rows, processes = [], []
    for value in width.values:
        case = width.case(value)
        rows += [row(**case.fields(), backend=name, arm=name) for name in laws]
        processes += [process(*(samples(case, name, {0: law(value)}) for name, law in laws.items()))] * 2
    break_even_case = points.break_even_cases()[0]
    rows += [
        row(**break_even_case.fields(), backend="python_loops", arm="python_loops", seconds=3e-6),
        row(**break_even_case.fields(), backend="numba_simd", arm="numba_simd", seconds=1e-6),
    ]
    compiled = schema.CompileRow(backend="numba_simd", network="3-3-1", cold_seconds=2.0, cached_seconds=0.5)
    outcome = ScaleResult(a_state(rows, compiled=[compiled], processes=processes), list(laws))
    (crossover,), ties = outcome.crossover_rows()
    assert (crossover.faster_below, crossover.faster_above) == ("python_loops", "numpy_plain")
    assert (crossover.dimension, crossover.left, crossover.right, crossover.undecided) == ("width", 4, 8, [])
    assert not ties
    (break_even,) = outcome.break_even_rows()
    assert (break_even.cold_calls, break_even.cached_calls) == (1_000_000, 250_000)


def crossover_row(left, right, undecided=()):
    return scale_schema.CrossoverRow(
        dimension="width",
        faster_below="python_loops",
        faster_above="numpy_plain",
        left=left,
        right=right,
        undecided=list(undecided),
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (crossover_row(6, 7), "between width 6 and 7"),
        (crossover_row(6, 8, [7]), "at width 7"),
        (crossover_row(6, 8), "between width 6 and 8"),  # 7 was not timed
        (crossover_row(6, 12, [8, 10]), "between width 6 and 12 (no difference detected at 8, 10)"),
        (crossover_row(6, 9, [7, 8]), "between width 6 and 9 (no difference detected at 7, 8)"),
        (crossover_row(6, 9, [7]), "between width 6 and 9 (no difference detected at 7)"),
    ],
)
def test_a_crossover_is_said_in_whole_sizes(row, text):
    assert scale_tables.crossover_place(row) == text


def test_findings_as_text():
    ties = [
        scale_schema.TieRow(dimension="width", backends=("graph", "numpy_plain"), left=512, right=1024, within=1.09),
        scale_schema.TieRow(dimension="batch", backends=("graph", "numpy_plain"), left=2, right=2, within=None),
    ]
    document = scale_schema.Scale(
        command="scale",
        version="0",
        started="",
        finished="",
        machine={},
        options={},
        effort={},
        rows=[],
        crossovers=[crossover_row(6, 7)],
        ties=ties,
        break_even=[],
        processes=[],
    )
    found = scale_tables.crossover_findings(document)
    lines = [line.start + line.text if isinstance(line, Paragraph) else str(line) for line in found]
    assert "- numpy_plain overtakes python_loops between width 6 and 7" in lines
    assert "- graph and numpy_plain: width 512 to 1024 (1.09), batch 2" in lines
    assert "no difference detected" in lines
    without = [
        str(line)
        for line in scale_tables.crossover_findings(document.model_copy(update={"crossovers": [], "ties": []}))
    ]
    assert "none: no backend overtakes another" in without
    assert not any("no difference detected" in line for line in without)


def test_settings_depend_on_machine_backends_and_effort():
    backends = [impls.load("numpy_plain")]
    settings = scale_settings(backends, growth.EFFORT, {"cpu": "a"})
    assert settings == scale_settings(backends, growth.EFFORT, {"cpu": "a"})
    assert settings != scale_settings([], growth.EFFORT, {"cpu": "a"})
    assert settings != scale_settings(backends, growth.EFFORT, {"cpu": "b"})
    assert settings != scale_settings(backends, replace(growth.EFFORT, seconds_per_arm=1), {"cpu": "a"})


@given(st.lists(st.floats(0, 1), max_size=12))
def test_labels_are_spread_in_their_order_and_no_further_than_needed(places):
    spread = pytest.importorskip("bench.report.scale_picture", reason="pictures need matplotlib").spread
    moved = spread(places, 0.1)
    order = sorted(range(len(places)), key=places.__getitem__)
    assert all(moved[b] - moved[a] >= 0.1 - 1e-9 for a, b in pairwise(order))
    assert sum(moved) == pytest.approx(sum(places))
    if all(places[b] - places[a] >= 0.1 for a, b in pairwise(order)):
        assert moved == pytest.approx(places)
