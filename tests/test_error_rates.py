"""The error rates of the rules, on synthetic recordings and on those in results/gate/."""

import ast
import json
import math
from functools import cache
from random import Random

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

import impls
from bench.cases import select_cases
from bench.cli.main import main
from bench.gate import error_rates, preparation, recorded_rows, recording
from bench.gate.error_rates import GateSize
from bench.gate.neutral_edits import EDITS, edit_revision
from bench.gate.operating_curve import operating_curve, slowed
from bench.gate.recorded_rows import RecordedRow, SimulatedGate
from bench.gate.recording import ARMS, PLANTED, Calibration, Recording, delayed_arm
from bench.gate.row_plans import BackendCase
from bench.records import files
from bench.records.error_rate_schema import ErrorRates
from bench.records.files import RecordError
from pairbench import sequential_test
from pairbench.measurement_loop import round_change
from pairbench.sequential_test import RoundChange
from pairbench.worktrees import Revision
from tests.helpers import ROOT

STORED = ROOT / "results" / "gate"
CALIBRATION = Calibration(500, (9, 15, 30, 60))
BUDGET = 240.0
"""Seconds of a gate."""


def synthetic(seed, count, spread=0.02, noise=0.01):
    """A recording whose processes differ by ``spread``, with skewed noise between the blocks."""
    rng = np.random.default_rng(seed)
    process = rng.normal(0, spread, (count, 3))
    arms = np.concatenate([process, np.repeat(process[:, :1], len(PLANTED), axis=1)], axis=1)
    arms[:, 3:] += np.log1p(PLANTED)
    logarithms = arms[:, :, None] + rng.exponential(noise, (count, len(ARMS), 30))
    return Recording((2e-6 * np.exp(logarithms)).astype(np.float32), {"row": "synthetic"}, CALIBRATION, 1.5 * count)


@cache
def synthetic_scores():
    """The scores of all rules on a synthetic recording."""
    return error_rates.score_rules(synthetic(3, 480), BUDGET)


def stored(name):
    """A recording in results/gate/."""
    return recording.read_recording(STORED / f"{name}.npz")


def test_round_changes_are_unbiased_for_skewed_times():
    rng = np.random.default_rng(1)
    pairs = [
        round_change({side: rng.exponential(1, 15) + 1 for side in ("head", "base", "control")}) for _ in range(3000)
    ]
    changes = [pair.change for pair in pairs]
    assert abs(np.mean(changes)) < 3 * stats.sem(changes)
    # With the mean of base and control as the denominator, the change would be biased, and this test would fail.
    biased = [np.median(np.log(h) - (np.log(b) + np.log(a)) / 2) for h, b, a in rng.exponential(1, (3000, 3, 15)) + 1]
    assert np.mean(biased) < -5 * stats.sem(biased)


def test_rates_have_the_interval_of_clopper_and_pearson():
    rates = error_rates.verdict_rates(["FAIL"] * 3 + ["PASS"] * 17)
    assert (rates["FAIL"].count, rates["FAIL"].runs) == (3, 20)
    assert rates["FAIL"].low == pytest.approx(stats.beta.ppf(0.025, 3, 18))
    assert rates["FAIL"].high == pytest.approx(stats.beta.ppf(0.975, 4, 17))
    assert (rates["INCONCLUSIVE"].low, rates["INCONCLUSIVE"].count) == (0, 0)
    assert rates["INCONCLUSIVE"].high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_runs_are_disjoint():
    """No two runs share a round, so the number of runs is bounded by the number of rounds."""
    data = synthetic(2, 240)
    for planted in (0, *range(3, len(ARMS))):
        runs = len(list(error_rates.gate_rule(0.05, 1, GateSize(80, 30, 30))(data.seconds, planted)))
        assert 1 <= runs <= 240 // sequential_test.MIN_ROUNDS
    assert len(list(error_rates.RULES_OF_OTHER_TOOLS["asv Mann-Whitney, 1.1"](data.seconds, 0))) == 120


@pytest.mark.slow
def test_the_rules_on_a_synthetic_recording():
    found = {(score.rule, score.planted): score.rates for score in synthetic_scores()}
    for rows in ("1 row", "of 24 rows"):
        assert found[f"gate, 5 %, {rows}", 0.0]["FAIL"].count == 0
        assert found[f"gate, 5 %, {rows}", 0.0]["PASS"].count >= 20
        assert found[f"gate, 5 %, {rows}", 0.20]["PASS"].count == 0
    assert found["gate, 5 %, 1 row", 0.10]["FAIL"].count >= 35
    assert found["gate, 3 %, 1 row", 0.05]["FAIL"].count >= 5
    # Rules that use one or two processes err, because processes differ by 2 %.
    assert found["pytest-benchmark min:5%", 0.0]["FAIL"].count > 5
    assert found["pytest-benchmark mean:10%", 0.05]["PASS"].count > 400
    assert found["asv Mann-Whitney, 1.1", 0.05]["PASS"].count > 200


@pytest.mark.slow
def test_a_planted_delay_is_measured_from_the_recording():
    measured = {score.planted: score.measured for score in synthetic_scores()}
    assert measured[0.0] == 0
    for planted in PLANTED:
        assert measured[planted] == pytest.approx(planted, abs=0.003)


def test_the_error_rates_assume_the_number_of_rows_of_a_default_gate():
    core = [name for name, origin in impls.origins().items() if origin == "core"]
    assert len(core) * len(select_cases(default=preparation.DEFAULT_GATE_CASES)) == recorded_rows.DEFAULT_ROWS


def test_the_operating_curve_of_a_synthetic_recording():
    points = {
        (point.slowdown, point.share): point
        for point in operating_curve([synthetic(7, 200, spread=0.01)], SimulatedGate(1), 60.0, 40, Random(2))
    }
    (size,) = {point.size for point in points.values()}
    assert size == error_rates.gate_size([synthetic(7, 200, spread=0.01)], 0.05, 1, 60.0)
    assert points[0.0, 1.0].rates["PASS"].count >= 38
    assert points[0.1, 1.0].rates["FAIL"].count >= 38
    assert 0 < points[0.05, 1.0].rates["FAIL"].count < 40
    assert all(sum(rate.count for rate in point.rates.values()) == 40 for point in points.values())


def test_the_operating_curve_takes_its_recordings_in_turn():
    slower = synthetic(8, 50, spread=0.005)
    slower.seconds[:, 0] *= 1.2
    (first, *_) = operating_curve([synthetic(9, 50, spread=0.005), slower], SimulatedGate(24), 240.0, 20, Random(3))
    assert (first.slowdown, first.rates["PASS"].count, first.rates["FAIL"].count) == (0.0, 10, 10)


def test_a_gate_is_simulated_with_its_numbers_of_blocks():
    """The first block and six of seven others are slowed: the median sees them among all 30 blocks, not among 5.

    Every verdict falls in the first rounds, so the later number of blocks does not matter here.
    """
    seconds = synthetic(10, 80, spread=0.005).seconds[..., : 7 * 4 + 2]
    seconds[:, 0, (np.arange(seconds.shape[-1]) - 1) % 7 > 0] *= 1.2
    verdicts = [
        set(error_rates.gate_rule(0.05, 24, GateSize(40, first, later))(seconds, 0))
        for first, later in ((5, 5), (5, 30), (30, 30), (30, 5))
    ]
    assert verdicts == [{"PASS"}, {"PASS"}, {"FAIL"}, {"FAIL"}]


def test_the_rounds_after_the_first_pass_have_later_blocks(monkeypatch):
    simulated = []

    def simulate(changes, *settings):
        simulated.append(changes)
        return 40, "PASS"

    monkeypatch.setattr(error_rates, "simulate_gate", simulate)
    seconds = synthetic(12, 80).seconds
    list(error_rates.gate_rule(0.05, 24, GateSize(34, 3, 20))(seconds, 0))
    first, later = (error_rates.side_changes(seconds, 0, blocks) for blocks in (3, 20))
    assert simulated == [first[:19] + later[19:40], first[40:59] + later[59:80]]


def recorded_with(noise):
    """120 rounds of 3 sides with 120 samples of 1 ms, in which a block shows a change with this standard deviation."""
    logarithms = np.random.default_rng(11).normal(0, noise * math.sqrt(2 / 3), (120, 3, 120))
    seconds = (2e-6 * np.exp(logarithms)).astype(np.float32)
    return Recording(seconds, {"row": "synthetic"}, CALIBRATION, 200.0)


def test_a_simulated_gate_has_the_blocks_and_rounds_that_a_gate_takes():
    """A round takes 0.85 s, and for each block 3 samples, each with 1.1 ms for the calls and 3 ms for the turn."""
    block = 3 * (1.1e-3 + 3e-3)
    for threshold, budget, blocks in ((0.05, 240, 25), (0.005, 10, 62), (0.005, 1000, 120)):
        size = error_rates.gate_size([recorded_with(0.1)], threshold, 1, budget)
        assert size.blocks == size.later_blocks == pytest.approx(blocks, rel=0.1)
        assert size.rounds == pytest.approx(budget / (0.85 + (9 + size.blocks) * block), abs=1)  # 9 of the reference


def test_a_simulated_default_gate_has_all_rows_until_the_first_pass_and_then_one():
    block = 3 * (1.1e-3 + 3e-3)
    size = error_rates.gate_size([recorded_with(0.1)], 0.05, 24, 240.0)
    assert (size.blocks, size.later_blocks) == (9, pytest.approx(25, rel=0.1))
    until_pass = 19 * (1.5 + 25 * 9 * block)
    assert size.rounds == pytest.approx(19 + (240 - until_pass) / (0.85 + (9 + size.later_blocks) * block), abs=1)
    assert error_rates.gate_size([recorded_with(0.1)], 0.05, 24, 40.0).rounds == int(40 / (until_pass / 19))


def test_a_share_of_the_heads_processes_is_slowed():
    changes = [RoundChange(0.0, 0.0, 0.0)] * 1000
    heads = [(one.to_base, one.to_control, one.offset) for one in slowed(changes, 0.2, 0.25, Random(4))]
    assert set(heads) == {(0.0, 0.0, 0.0), (math.log1p(0.2), math.log1p(0.2), 0.0)}
    assert heads.count((0.0, 0.0, 0.0)) == pytest.approx(750, abs=60)


def test_the_budget_ends_a_run_of_the_rule():
    data = synthetic(4, 60, spread=0.3)
    runs = list(error_rates.gate_rule(0.05, 1, GateSize(10, 30, 30))(data.seconds, 0))
    assert len(runs) == 6
    assert set(runs) == {"INCONCLUSIVE"}


def test_a_recording_is_read_back_and_a_damaged_one_is_refused(tmp_path):
    data, path = synthetic(5, 7), tmp_path / "idle.npz"
    recording.write_recording(path, data)
    restored = recording.read_recording(path)
    assert_array_equal(restored.seconds, data.seconds, strict=True)
    assert (restored.settings, restored.calibration, restored.wall_seconds) == (
        data.settings,
        CALIBRATION,
        data.wall_seconds,
    )
    for content, text in (
        (b"", "is not a recording"),
        (b"PK\x03\x04 cut off", "is not a recording"),
        (b"[1]", "is not a recording"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=text):
            recording.read_recording(path)
    about = json.dumps({"settings": {}, "calibration": {"loops": 1, "steps": [1]}, "wall_seconds": 1.0})
    for seconds, text in (
        (data.seconds[:0], about),
        (0 * data.seconds, about),
        (np.nan * data.seconds, about),
        (data.seconds, about.replace("1.0", "NaN")),
        (data.seconds, about.replace('"loops": 1', '"loops": Infinity')),
        (data.seconds, about.replace("[1]", '["x"]')),
    ):
        np.savez(path, about=text, seconds=seconds.astype(np.float32))
        with pytest.raises(RecordError, match="is not a recording"):
            recording.read_recording(path)
    np.savez(path, seconds=np.zeros((3, 2)))
    with pytest.raises(RecordError, match="is not a recording"):
        recording.read_recording(path)
    with pytest.raises(RecordError, match="cannot read"):
        recording.read_recording(tmp_path / "nosuch.npz")


@pytest.mark.slow
def test_the_command_scores_the_recordings(tmp_path, capsys):
    (tmp_path / "gate").mkdir()
    recording.write_recording(tmp_path / "gate" / "loaded.npz", synthetic(6, 60))
    path = tmp_path / "rates.json"
    assert main(["error-rates", "--results", str(tmp_path), "--gates", "20", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "loaded: 60 rounds, 1.5 s each" in out
    assert "pytest-benchmark min:5%" in out
    document = files.read(path, ErrorRates)
    assert {row.recording for row in document.rows} == {"loaded"}
    assert {row.planted for row in document.rows} == {0.0, *PLANTED}


@pytest.mark.slow
def test_rounds_are_recorded_and_added_to(tmp_path, capsys, forked_workers, monkeypatch):
    row = BackendCase("numpy_plain", recorded_rows.USUAL_ROW.case)  # numpy_plain is not compiled
    monkeypatch.setitem(
        recorded_rows.GROUPS, "loaded", {"loaded": RecordedRow(row, has_delays=True, loaded=True, blocks=5)}
    )
    monkeypatch.setitem(recorded_rows.GROUPS, "edits", {"edit-6": RecordedRow(row, list(EDITS)[5], blocks=4)})
    monkeypatch.setattr(recording, "PROBE_SAMPLES", 4)
    probed = []

    def probe(*arguments):
        probed.append(recording._probe_delays(*arguments, recording.PROBE_STEPS, recording.PROBE_LOOPS))
        return Calibration(50, (1, 2, 4, 8))  # a busy machine may have no calibration

    monkeypatch.setattr(recording, "calibrate_delays", probe)
    arguments = ["error-rates", "--results", str(tmp_path), "--gates", "2"]
    assert main([*arguments, "--rounds", "1", "--recording", "edits"]) == 0
    edited = recording.read_recording(tmp_path / "gate" / "edit-6.npz")
    assert edited.seconds.shape == (1, 3, 4)
    assert edited.calibration.steps == ()
    assert "operating curve, edits: 1 row" in capsys.readouterr().out
    probed.clear()
    assert main([*arguments, "--rounds", "1", "--loaded"]) == 0
    first = recording.read_recording(tmp_path / "gate" / "loaded.npz")
    assert first.settings["sources"] != edited.settings["sources"]
    assert main([*arguments, "--rounds", "2", "--loaded"]) == 2  # a finished recording is never dropped
    assert "holds 1 round; --resume adds to them" in capsys.readouterr().err
    assert main([*arguments, "--rounds", "2", "--loaded", "--resume"]) == 0
    both = recording.read_recording(tmp_path / "gate" / "loaded.npz")
    assert first.seconds.shape == (1, len(ARMS), 5)
    assert both.seconds.shape == (2, len(ARMS), 5)
    assert_array_equal(both.seconds[:1], first.seconds, strict=True)
    assert both.seconds.min() > 0
    assert both.calibration == first.calibration == Calibration(50, (1, 2, 4, 8))
    (times,) = probed  # the second recording takes the calibration of the first
    assert list(times) == [0, *recording.PROBE_STEPS]
    assert all(len(samples) == recording.PROBE_SAMPLES and min(samples) > 0 for samples in times.values())
    capsys.readouterr()
    other = Recording(both.seconds, {**both.settings, "sources": "other"}, both.calibration, both.wall_seconds)
    recording.write_recording(tmp_path / "gate" / "loaded.npz", other)
    assert main([*arguments, "--rounds", "3", "--loaded", "--resume"]) == 2
    assert "was recorded with other sources" in capsys.readouterr().err


def statements(content):
    """The top-level statements of a module, those of a class one by one."""
    for statement in ast.parse(content).body:
        yield from statement.body if isinstance(statement, ast.ClassDef) else [statement]


@cache
def dumps(content):
    """The statements of a module in an order that does not depend on their places."""
    return sorted(map(ast.dump, statements(content)))


@pytest.mark.parametrize("name", EDITS)
def test_a_neutral_edit_leaves_every_statement_and_changes_bytes(name):
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "impls").rglob("*.py")}
    edited = edit_revision(Revision("HEAD", "c", "impls", files), name)
    assert (edited.title, edited.commit) == (f"HEAD with {name}", None)
    changed = [path for path in files if files[path] != edited.files[path]]
    assert "impls/numpy_plain.py" in changed
    for path in changed:
        before, after = (dumps(source[path]) for source in (files, edited.files))
        added = [one for one in after if "_unused" in one or "_UNUSED" in one or "'_string'" in one]
        assert sorted([*before, *added]) == after, path


def delayed_calls(delay_of):
    """A probe of calls that take a microsecond and the relative delay of a loop of the given length."""
    lengths = (0, *recording.PROBE_STEPS)
    return lambda *_: {length: [1e-6 * (1 + delay_of(length))] * 3 for length in lengths}


def test_delay_loops_are_calibrated_with_the_time_to_start_a_loop(monkeypatch):
    probe = delayed_calls(lambda length: 0.01 + 0.002 * length if length else 0.0)
    monkeypatch.setattr(recording, "_probe_delays", probe)
    calibration = recording.calibrate_delays(None, None, None)
    assert calibration.steps == (10, 20, 45, 95)  # (planted - 0.01) / 0.002
    assert calibration.loops == 1000  # of a microsecond, for a sample of a millisecond


@pytest.mark.parametrize("step", [0.2, 0.0, -0.002], ids=["a step is longer than the delays", "flat", "falling"])
def test_delays_that_cannot_be_calibrated_are_an_error(monkeypatch, step):
    monkeypatch.setattr(recording, "_probe_delays", delayed_calls(lambda length: step * length))
    with pytest.raises(RuntimeError, match="the delays cannot be calibrated on a machine this busy: a loop of 64"):
        recording.calibrate_delays(None, None, None)


def test_the_tests_cover_every_stored_recording():
    assert {"idle", "loaded"} <= {path.stem for path in STORED.glob("*.npz")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["idle", "loaded"])
def test_the_error_rates_on_the_stored_recordings(monkeypatch, name):
    """Guards against changes of the rule that raise the error rates."""
    monkeypatch.setattr(error_rates, "PLANTED", (0.20,))
    monkeypatch.setattr(error_rates, "RULES_OF_OTHER_TOOLS", {})  # which never change
    scores = error_rates.score_rules(stored(name), BUDGET)
    found = {(score.rule, score.planted): score.rates for score in scores}
    for rows in ("1 row", "of 24 rows"):
        for threshold in ("3 %", "5 %"):
            assert found[f"gate, {threshold}, {rows}", 0.0]["FAIL"].count == 0
            assert found[f"gate, {threshold}, {rows}", 0.20]["PASS"].count == 0
        assert found[f"gate, 5 %, {rows}", 0.20]["FAIL"].low > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tolerance"), [("idle", 0.008), ("loaded", 0.015)])
def test_the_planted_delays_were_accurate(name, tolerance):
    """Longer delays than stated would make the gate look better than it is."""
    seconds = stored(name).seconds
    for planted in PLANTED:
        measured = error_rates._measured(seconds, ARMS.index(delayed_arm(planted)))
        assert measured == pytest.approx(planted, abs=tolerance)
