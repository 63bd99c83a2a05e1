"""The sizes that ``scale`` times inside of crossovers, on made-up times whose crossovers are known."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import impls
from bench.records import scale_schema
from bench.report import scale_tables, terminal
from bench.scale import bisection, growth, points
from bench.scale.result import ScaleResult
from pairbench.progress import NoProgress
from tests.made_up_times import make_up_times

WIDTHS = (1, 4, 8, 64)
ANYWAY = {3, 100, *WIDTHS}
"""Widths that are timed without a crossover: those of a short grid and of the break-even points."""
LOOPS, PLAIN, GRAPH = "python_loops", "numpy_plain", "graph"


@pytest.fixture
def narrow(monkeypatch):
    """Only the width grows, and fewer sizes are in the grid."""
    monkeypatch.setattr(points, "DIMENSIONS", (points.Dimension("width", WIDTHS, 2),))


def made_up(monkeypatch, laws):
    """Make up times: ``laws`` gives the seconds of a backend at a width; None fails. Returns the timed groups."""
    return make_up_times(monkeypatch, lambda arm: laws[arm.backend](arm.case.network.layer_sizes[0]))


def a_state():
    return scale_schema.ScaleState(settings={}, started="", rows=[], not_run=[], bisections=0, compile=[], processes=[])


def measured(laws, state=None, save=lambda state: None):
    backends = [impls.load(name) for name in laws]
    return growth.measure_growth(state or a_state(), backends, growth.EFFORT, NoProgress(), save, growth.LocalTimer())


def places_of(state, laws):
    rows, _ = ScaleResult(state, list(laws)).crossover_rows()
    return {(row.faster_below, row.faster_above): scale_tables.crossover_place(row) for row in rows}


def names_by_width(groups):
    return {group[0].case.network.layer_sizes[0]: {arm.backend for arm in group} for group in groups}


def test_pairs_share_sizes_and_only_their_backends_are_timed(monkeypatch, narrow):
    laws = {
        LOOPS: lambda n: 1e-6 * n,
        PLAIN: lambda n: 6.5e-6,
        GRAPH: lambda n: 7.0e-6 + 1e-12 * n,
        "numpy_vectorized": lambda n: 1e-3,
    }
    groups = made_up(monkeypatch, laws)
    state = measured(laws)
    assert places_of(state, laws) == {(LOOPS, PLAIN): "between width 6 and 7", (LOOPS, GRAPH): "at width 7"}
    inside = {width: names for width, names in names_by_width(groups).items() if width not in ANYWAY}
    assert inside == {width: {LOOPS, PLAIN, GRAPH} for width in (6, 7)}
    assert len(groups) == len({group[0].case for group in groups})
    rows = ScaleResult(state, list(laws)).scale_rows()
    assert [row.value for row in rows if row.arm == GRAPH and row.dimension] == [1, 4, 6, 7, 8, 64]


def test_the_tables_show_the_sizes_inside_as_far_as_they_were_timed(monkeypatch, narrow):
    laws = {LOOPS: lambda n: 9e-3, PLAIN: lambda n: 1e-6 * n, GRAPH: lambda n: 6.5e-6}
    made_up(monkeypatch, laws)
    state = measured(laws)
    assert places_of(state, laws) == {(PLAIN, GRAPH): "between width 6 and 7"}
    rows = ScaleResult(state, list(laws)).scale_rows()
    text = terminal.rendered(*scale_tables.dimensions(rows, list(laws)))
    times, speedups = (
        [line.split() for line in part.splitlines() if re.match(r" *\d+  ", line)]
        for part in text.split(": speedup over python_loops")[:2]
    )
    assert ["6", "-", "6.00", "µs", "6.50", "µs"] in times
    assert [line[0] for line in times] == ["1", "4", "6", "7", "8", "64"]
    assert [line[0] for line in speedups] == ["1", "4", "8", "64"]  # the loops were not timed inside


@settings(max_examples=5)
@given(st.data())
def test_a_whole_run_says_where_the_faster_backend_changes(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "DIMENSIONS", (points.Dimension("width", WIDTHS, 2),))
        at = {name: data.draw(st.floats(1.1, 63), label=name) for name in (PLAIN, GRAPH)}
        laws = {LOOPS: lambda n: 1e-6 * n} | {name: lambda n, at=at[name]: 1e-6 * at for name in at}
        groups = made_up(patch, laws)
        rows, _ = ScaleResult(measured(laws), list(laws)).crossover_rows()
        assert len(names_by_width(groups).keys() - ANYWAY) <= bisection.STEPS * len(at)
        for row in rows:
            assert row.faster_below == LOOPS
            assert row.left < at[row.faster_above] < row.right


def test_a_bisection_resumes_from_each_saved_state(monkeypatch, narrow):
    laws = {LOOPS: lambda n: 1e-6 * n, PLAIN: lambda n: 40e-6}
    groups, saved = made_up(monkeypatch, laws), []
    whole = measured(laws, save=saved.append)
    assert places_of(whole, laws) == {(LOOPS, PLAIN): "between width 36 and 43"}
    assert [state.bisections for state in saved] == [0, 0, 0, 0, 1, 2, 3]
    for state in saved:
        groups.clear()
        resumed = measured(laws, state)
        assert (resumed.rows, resumed.bisections) == (whole.rows, whole.bisections)
        assert {row.case for row in state.rows}.isdisjoint(group[0].case for group in groups)


@pytest.mark.parametrize("failing_at", [1, 6])
def test_a_failed_backend_is_not_bisected(monkeypatch, narrow, failing_at):
    laws = {LOOPS: lambda n: 1e-6 * n, PLAIN: lambda n: None if n == failing_at else 7e-6}
    groups = made_up(monkeypatch, laws)
    state = measured(laws)
    beyond = names_by_width(groups).keys() - ANYWAY
    assert beyond == ({6} if failing_at == 6 else set())
    assert places_of(state, laws) == ({(LOOPS, PLAIN): "between width 4 and 8"} if failing_at == 6 else {})


def test_a_backend_that_compiles_for_every_shape_is_not_timed_inside(monkeypatch, narrow):
    laws = {LOOPS: lambda n: 1e-6 * n, PLAIN: lambda n: 10e-6}
    groups = made_up(monkeypatch, laws)
    plain = impls.load(PLAIN)
    shaped = replace(plain, model=type("Shaped", (plain.model,), {"compiles_shapes": True}))
    state = growth.measure_growth(
        a_state(), [impls.load(LOOPS), shaped], growth.EFFORT, NoProgress(), lambda state: None, growth.LocalTimer()
    )
    assert names_by_width(groups).keys() == ANYWAY
    assert places_of(state, laws) == {(LOOPS, PLAIN): "between width 1 and 64"}


def test_a_call_that_would_take_too_long_ends_the_bisection(monkeypatch, narrow):
    laws = {LOOPS: lambda n: 0.9 if n >= 64 else 1e-3 * n**1.5, PLAIN: lambda n: 0.3}
    monkeypatch.setattr(growth, "MAX_CALL_SECONDS", 0.2)
    monkeypatch.setattr(growth, "_predicted", lambda state, backend, case: 0.5 if case in inside else None)
    inside = {points.DIMENSIONS[0].case(36)}
    made_up(monkeypatch, laws)
    state = measured(laws)
    assert state.bisections == 1
    assert [row.layer_sizes[0] for row in state.not_run] == [36, 36]
    assert places_of(state, laws) == {(LOOPS, PLAIN): "between width 8 and 64"}
