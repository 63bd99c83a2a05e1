"""What ``scale`` computes from times: predictions, crossings, and which points are timed."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import impls
from bench.cases import Case
from bench.measure import CaseMeasurement
from bench.records import schema
from bench.report import scale_tables
from bench.scale import crossovers, growth, points
from bench.scale.extrapolation import extrapolate_seconds
from bench.scale.result import ScaleResult
from bench.scale.settings import settings as scale_settings
from impls import Network
from pairbench.measure import TimingProcess
from pairbench.progress import NoProgress
from pairbench.statistics import Interval
from pairbench.worker_protocol import Sample, TimedGroup
from tests.helpers import timing_row as row

SIZES = st.lists(st.integers(1, 4096), min_size=2, max_size=13, unique=True).map(sorted)
POSITIVE = st.floats(1e-7, 1e-2)
POWERS = st.floats(0, 3)


def exactly(ratio):
    return Interval(ratio, ratio, ratio)


@given(POSITIVE, POWERS, SIZES, st.integers(4097, 10**6))
def test_a_power_law_is_predicted(seconds, power, sizes, size):
    timed = [(one, seconds * one**power) for one in sizes]
    assert extrapolate_seconds(timed, size, 1) == pytest.approx(seconds * size**power, rel=1e-6)


def test_predictions_by_hand():
    assert extrapolate_seconds([], 4, 2) is None
    assert extrapolate_seconds([(1, 0.5)], 2, 2) == 2  # one pair: as the multiplications grow
    assert extrapolate_seconds([(1, 5.0), (2, 0.5), (4, 1.0)], 16, 2) == pytest.approx(
        4
    )  # the first pair no longer counts
    assert extrapolate_seconds([(1, 0.3), (2, 0.2)], 4, 2) == 0.2  # never shorter than before


@given(POSITIVE, POWERS, POSITIVE, POWERS, SIZES)
def test_the_crossing_of_two_power_laws_is_found_exactly(a, p, b, q, sizes):
    ratios = [a * size**p / (b * size**q) for size in sizes]
    found, ties = crossovers.find_crossovers(
        [(size, exactly(ratio)) for size, ratio in zip(sizes, ratios, strict=True)]
    )
    sides = [(ratio > 1.02) - (ratio < 1 / 1.02) for ratio in ratios]
    if {1, -1} <= set(sides):
        (crossing,) = found
        assert crossing.at == pytest.approx((b / a) ** (1 / (p - q)), rel=1e-6)
        assert crossing.low == crossing.at == crossing.high
        assert crossing.rises == (p > q)
        assert crossing.left < crossing.at < crossing.right
        assert not ties
    else:
        assert not found
        assert bool(ties) == (0 in sides)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(1, 3)), max_size=10))
def test_every_crossing_lies_between_its_points_and_within_its_interval(drawn):
    given_points = [(2.0**k, Interval(ratio, ratio / wide, ratio * wide)) for k, (ratio, wide) in enumerate(drawn)]
    found, ties = crossovers.find_crossovers(given_points)
    for one in found:
        assert one.left <= one.low <= one.at <= one.high <= one.right
    for one, other in pairwise(found):
        assert one.right <= other.left
        assert one.rises != other.rises
    for tie in ties:
        assert tie.left <= tie.right
        assert tie.within >= 1
        assert not any(one.left < tie.left < one.right for one in found)


def test_crossings_by_hand():
    # Straight from 1/4 at 4 to 4 at 16: 1 at 8; the low end goes from 1/8 to 2, the high end from 1/2 to 8.
    (crossing,), ties = crossovers.find_crossovers([(4, Interval(1 / 4, 1 / 8, 1 / 2)), (16, Interval(4, 2, 8))])
    assert crossing.at == pytest.approx(8)
    assert crossing.low == pytest.approx(4 * 4 ** (1 / 4))
    assert crossing.high == pytest.approx(4 * 4 ** (3 / 4))
    assert (crossing.left, crossing.right, crossing.rises, ties) == (4, 16, True, [])


def test_what_is_not_told_apart_is_a_tie_and_no_crossing():
    ratios = [Interval(2, 1.9, 2.1), Interval(1.1, 0.9, 1.3), Interval(0.9, 0.8, 1.2), Interval(2, 1.9, 2.1)]
    found, (tie,) = crossovers.find_crossovers(list(zip((1, 2, 4, 8), ratios, strict=True)))
    assert not found
    assert (tie.left, tie.right) == (2, 4)
    assert tie.within == pytest.approx(1.3)


def test_a_crossing_takes_in_what_is_not_told_apart_beside_it():
    ratios = [exactly(0.5), Interval(1.05, 0.9, 1.2), Interval(0.95, 0.8, 1.1), exactly(2)]
    (crossing,), ties = crossovers.find_crossovers(list(zip((1, 2, 4, 8), ratios, strict=True)))
    assert (crossing.left, crossing.right, ties) == (1, 8, [])
    assert 2 < crossing.at < 4  # the one in the middle of three
    assert 1 < crossing.low < 2
    assert 4 < crossing.high < 8


def test_times_that_differ_by_less_than_the_method_sees_are_a_tie():
    found, (tie,) = crossovers.find_crossovers([(1, exactly(0.99)), (2, exactly(1.01))])
    assert not found
    assert tie.within == pytest.approx(1 / 0.99)


def test_one_process_alone_tells_nothing_apart():
    found, (tie,) = crossovers.find_crossovers([(1, Interval(0.5, None, None)), (2, Interval(2, None, None))])
    assert not found
    assert math.isinf(tie.within)


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
    assert [(one.values[0], one.values[-1]) for one in points.DIMENSIONS] == [(1, 1024), (1, 16), (1, 4096)]
    assert len(points.all_cases()) == len(set(points.all_cases())) == 2 + 11 + 8 + 13 - 2


def test_a_backend_that_compiles_for_every_shape_is_timed_at_a_few():
    jit, plain = impls.load("numpy_vectorized"), impls.load("numpy_plain")
    shaped = replace(jit, model=type("Shaped", (jit.model,), {"compiles_shapes": True}))
    width = points.DIMENSIONS[0]
    timed = [value for value in width.values if shaped in points.at(width.case(value), [shaped, plain])]
    # The base is the first value of the batch.
    assert timed == [1, 8, 32, 64, 512]
    assert all(plain in points.at(case, [shaped, plain]) for case in points.all_cases())


def a_state(rows=(), not_run=(), compiled=(), processes=(), settings=None):
    return schema.ScaleState(
        settings=settings or {},
        started="2026-01-01T00:00:00+00:00",
        rows=list(rows),
        not_run=list(not_run),
        compile=list(compiled),
        processes=list(processes),
    )


LAWS = {"python_loops": 1e-6, "numpy_plain": 1e-8}


def simulated(monkeypatch, laws):
    """Measuring as if a call took a law's seconds for each multiplication; returns the groups that are measured."""
    groups = []

    def measure(given, effort, seed, progress, compiling=()):
        groups.extend(given)
        timed = [
            TimedGroup(group, {}, {}, {arm: [Sample(0, 0, 1, seconds(arm, laws))] for arm in group}, {})
            for group in given
        ]
        return CaseMeasurement(given, processes=[TimingProcess(seed, timed), TimingProcess(seed, timed)])

    monkeypatch.setattr(growth, "measure_cases", measure)
    return groups


def seconds(arm, laws):
    return laws[arm.backend] * arm.case.batch * sum(n_in * n_out for n_in, n_out in arm.case.network.shapes)


def test_what_would_take_over_a_second_is_not_run(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    kept = []
    backends = [impls.load(name) for name in LAWS]
    done = growth.measure_growth(a_state(), backends, growth.EFFORT, NoProgress(), kept.append)
    assert kept[-1] == done
    slowest = {name: max(seconds(arm, LAWS) for group in groups for arm in group if arm.name == name) for name in LAWS}
    assert slowest["python_loops"] == pytest.approx(2048 * 256 * 1e-6)  # at batch 512 it would be 1.05 s
    assert slowest["numpy_plain"] == pytest.approx(2048 * 4096 * 1e-8)
    left_out = {(one.layer_sizes[0], one.batch): one.predicted_seconds for one in done.not_run}
    assert left_out == pytest.approx(
        {(1024, 1): 2.097152} | {(32, batch): 2048 * batch * 1e-6 for batch in (512, 1024, 2048, 4096)}
    )
    rows = {(one.dimension, one.value, one.arm): one for one in ScaleResult(done, list(LAWS)).scale_rows()}
    assert rows["width", 1024, "python_loops"].reason == "not run: a call would take too long"
    assert rows["width", 1024, "python_loops"].ok
    assert rows["width", 1024, "numpy_plain"].speedup is None
    assert rows["width", 512, "numpy_plain"].speedup.estimate == pytest.approx(100)


def test_the_fastest_is_in_every_block_and_every_case_comes_once(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    growth.measure_growth(
        a_state(), [impls.load(name) for name in LAWS], growth.EFFORT, NoProgress(), lambda state: None
    )
    first = {group[0].case: group[0].backend for group in groups}
    assert len(first) == len(groups) == len(points.all_cases())
    assert first[points.DIMENSIONS[0].case(1)] == "python_loops"  # nothing is known yet
    assert first[points.DIMENSIONS[0].case(2)] == "numpy_plain"


def test_a_state_is_gone_on_with(monkeypatch):
    groups = simulated(monkeypatch, LAWS)
    backends, kept = [impls.load(name) for name in LAWS], []
    whole = growth.measure_growth(a_state(), backends, growth.EFFORT, NoProgress(), kept.append)
    groups.clear()
    resumed = growth.measure_growth(kept[4], backends, growth.EFFORT, NoProgress(), lambda state: None)
    assert (resumed.rows, resumed.not_run) == (whole.rows, whole.not_run)
    before = {one.case for one in kept[4].rows}
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
            samples(case, "python_loops", {1: 2.0 * mood, 3: 4.0 * mood}),
            samples(case, "numpy_plain", {0: 9.0, 1: 1.0 * mood, 2: 9.0, 3: 2.0 * mood}),
            samples(case, "numba_simd", {1: 1.0}),
        )
        for mood in (1, 5)
    ]
    outcome = ScaleResult(a_state(rows, processes=processes), names)
    ratio = outcome.samples.ratio((case, "python_loops"), (case, "numpy_plain"))
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert outcome.samples.ratio((case, "python_loops"), (case, "numba_simd")) is None  # it failed
    found = {one.arm: one for one in outcome.scale_rows()}
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
    payback = points.break_even_cases()[0]
    rows += [
        row(**payback.fields(), backend="python_loops", arm="python_loops", seconds=3e-6),
        row(**payback.fields(), backend="numba_simd", arm="numba_simd", seconds=1e-6),
    ]
    compiled = schema.CompileRow(backend="numba_simd", network="3-3-1", cold_seconds=2.0, cached_seconds=0.5)
    outcome = ScaleResult(a_state(rows, compiled=[compiled], processes=processes), list(laws))
    (crossing,), ties = outcome.crossover_rows()
    assert (crossing.faster_below, crossing.faster_above) == ("python_loops", "numpy_plain")
    assert crossing.at == pytest.approx(6)
    assert (crossing.dimension, crossing.left, crossing.right, ties) == ("width", 4, 8, [])
    (paid,) = outcome.break_even_rows()
    assert (paid.cold_calls, paid.cached_calls) == (1_000_000, 250_000)


def test_findings_in_words():
    crossing = schema.CrossoverRow(
        dimension="width",
        faster_below="python_loops",
        faster_above="numpy_plain",
        at=6.4,
        low=5.2,
        high=8.11,
        left=4,
        right=16,
    )
    ties = [
        schema.TieRow(dimension="width", backends=("graph", "numpy_plain"), left=512, right=1024, within=1.09),
        schema.TieRow(dimension="batch", backends=("graph", "numpy_plain"), left=2, right=2, within=None),
    ]
    document = schema.Scale(
        command="scale",
        version="0",
        started="",
        finished="",
        machine={},
        options={},
        effort={},
        rows=[],
        crossovers=[crossing],
        ties=ties,
        break_even=[],
        processes=[],
    )
    lines = [str(line) for line in scale_tables.findings(document)]
    assert "- numpy_plain overtakes python_loops from width 7: 6.40 [5.20, 8.11]" in lines
    assert "- graph and numpy_plain: width 512 to 1024 (1.09), batch 2" in lines
    assert any("told apart" in line for line in lines)
    nothing = [str(line) for line in scale_tables.findings(document.model_copy(update={"crossovers": [], "ties": []}))]
    assert "none: no backend overtakes another" in nothing
    assert not any("told apart" in line for line in nothing)


def test_settings_hold_what_the_times_depend_on():
    backends = [impls.load("numpy_plain")]
    assert scale_settings(backends, growth.EFFORT) == scale_settings(backends, growth.EFFORT)
    assert scale_settings(backends, growth.EFFORT) != scale_settings([], growth.EFFORT)
    assert scale_settings(backends, growth.EFFORT) != scale_settings(
        backends, replace(growth.EFFORT, seconds_per_arm=1)
    )
