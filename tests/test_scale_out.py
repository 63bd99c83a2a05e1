"""``mlpbench scale-out``: its data, its simulation, its rows, and the command on a real cluster."""

import json
import os
from contextlib import ExitStack, nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main
from bench.page import sources
from bench.records import files
from bench.records.scale_out_schema import CostsRecord, ScaleOut
from bench.report import scale_out_tables, terminal
from bench.report.pictures import main as draw
from bench.scale_out import costs as costs_of_distribution
from bench.scale_out import data, measurement, methods, simulation
from bench.tutorials import datasets
from tests.helpers import one_line_error
from tests.peaks import peaks

TINY = 1e-12
COSTS = {
    "workers": 2,
    "fixed_seconds": TINY,
    "partition_seconds": TINY,
    "latency_seconds": TINY,
    "broadcast_seconds": TINY,
    "bytes_per_second": 1e14,
    "sample_seconds": 1.0,
}


def costs(**changes):
    return CostsRecord(**COSTS | changes)


def test_the_parts_are_the_digits_repeated():
    X, classes = datasets.standardized_digits(), datasets.load_digits_data()[1]
    parts = data.parts(4000, 1500)
    assert parts == [(0, 1500), (1500, 3000), (3000, 4000)]
    made = np.concatenate([data.inputs(*part) for part in parts])
    assert (made == np.vstack([X, X, X])[:4000]).all()
    targets = np.concatenate([data.targets(*part) for part in parts])
    assert (targets.argmax(axis=1) == np.tile(classes, 3)[:4000]).all()
    assert (targets.sum(axis=1) == 1).all()


def test_dask_makes_the_same_parts():
    pytest.importorskip("dask")
    X, Y = data.dask_arrays(4000, 1500)
    assert X.chunks[0] == Y.chunks[0] == (1500, 1500, 1000)
    assert (X.compute(scheduler="synchronous") == data.inputs(0, 4000)).all()
    assert (Y.compute(scheduler="synchronous") == data.targets(0, 4000)).all()


@pytest.mark.parametrize(("workers", "seconds"), [(1, 1600), (2, 800), (7, 300), (16, 100), (100, 100)])
def test_free_distribution_takes_the_time_of_the_busiest_worker(workers, seconds):
    assert simulation.epoch_seconds(1600, workers, 100, costs()) == pytest.approx(seconds)


def test_every_cost_enters_the_simulated_epoch():
    """Ten partitions, two nodes and the root, on one worker: a sequence that can be added by hand."""
    alone = simulation.epoch_seconds(10, 1, 1, costs(fixed_seconds=5.0, partition_seconds=0.5, latency_seconds=2.0))
    assert alone == pytest.approx(5 + (10 + 2 + 1) * 0.5 + 10 * 1 + (8 + 2 + 2) * 2)
    bandwidth = simulation.GRADIENT_BYTES / 3  # three seconds for a gradient
    slow = simulation.epoch_seconds(10, 1, 1, costs(bytes_per_second=bandwidth))
    assert slow == pytest.approx(10 + (8 + 2 + 2) * 3)
    # Nine workers get the parameters in two rounds of two transfers, and compute at the same time.
    many = simulation.epoch_seconds(8, 9, 1, costs(bytes_per_second=bandwidth))
    assert many == pytest.approx(2 * 2 * 3 + 1 + 8 * 3)
    # The scheduler hands out one task after another.
    assert simulation.epoch_seconds(8, 9, 1, costs(partition_seconds=4.0)) == pytest.approx(9 * 4 + 1)


def test_the_break_even_point_is_where_the_fixed_cost_is_earned():
    rows = simulation.break_even_rows(costs(fixed_seconds=100.0), 10**9)
    assert [(row.workers, row.samples) for row in rows] == [(2, 256), (10, 160), (100, 200), (1000, 1000)]
    never = simulation.break_even_rows(costs(fixed_seconds=1e14), 10**9)
    assert {row.samples for row in never} == {None}


@pytest.mark.slow
def test_the_peak_of_memory_is_that_of_this_process():
    size = 2**28
    before, after = measurement.in_fresh_process(peaks, size)
    assert before < 2**28 < after - before + 2**25 < 2**29


def test_a_process_that_ends_or_fails_gives_a_reason():
    assert measurement.in_fresh_process(os._exit, 3).startswith("its process was ended")
    assert measurement.in_fresh_process(int, "x").startswith("ValueError: invalid literal")
    assert measurement.in_fresh_process(os.getpid) != os.getpid()


@pytest.mark.parametrize("name", [methods.STREAMED, methods.IN_MEMORY, methods.NO_CLUSTER, methods.TORCH])
def test_a_method_with_a_lost_part_gets_no_time(monkeypatch, name):
    arm = measurement.candidates([])[name]
    if measurement.find_spec(arm.library) is None:
        pytest.skip(f"{arm.library} is not installed")
    target = measurement.epoch_target(
        data.NETWORK, methods.initial(), data.inputs(0, 50), data.targets(0, 50), 50, methods.LEARNING_RATE
    )

    def row():
        measured = measurement._measure(name, [], 50, 20)
        found = {methods.STREAMED: [measured], name: [measured]}
        return measurement._row(name, arm, 50, 20, found, "", False, target)

    right = row()
    assert right.ok
    assert right.seconds is not None
    assert right.share < 1
    whole = data.inputs
    monkeypatch.setattr(data, "inputs", lambda start, stop: whole(start, stop) * (stop != 50))
    wrong = row()
    assert not wrong.ok
    assert wrong.seconds is None
    assert wrong.speedup is None
    assert wrong.reason.startswith("value[")


@pytest.mark.slow
def test_the_command_on_a_real_cluster(empty_folder, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed")
    from tests.clusters import unchanged_environment

    monkeypatch.setattr(measurement, "in_fresh_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(measurement, "ENOUGH_SECONDS", 0.01)
    monkeypatch.setattr(measurement, "WARM_SAMPLES", 100)
    monkeypatch.setattr(simulation, "MOST_PARTITIONS", 100)
    for name, value in {"MANY": 20, "CHAIN": 5, "LARGE": 2**20, "REPEATS": 1}.items():
        monkeypatch.setattr(costs_of_distribution, name, value)
    options = ["--samples", "3000", "--partition-rows", "500", "--workers", "2", "--rounds", "1", "--pictures", "."]
    start = distributed.LocalCluster
    with unchanged_environment(), ExitStack() as clusters:
        # The costs are measured on the cluster of the epochs, which goes on until the end.
        once = cache(lambda **settings: nullcontext(clusters.enter_context(start(**settings))))
        monkeypatch.setattr(distributed, "LocalCluster", once)
        assert main(["scale-out", *options, "--json", "out.json"]) == 0
    out, _ = capsys.readouterr()
    document = files.read(Path("out.json"), ScaleOut)
    rows = {row.method: row for row in document.rows}
    judged = [row for name, row in rows.items() if name != methods.SKLEARN and row.seconds]
    assert len(judged) >= 4
    assert all(row.ok and row.share <= 1 for row in judged)
    assert rows["dask_data_parallel, 2 workers"].peak_bytes > 2**26
    assert rows[methods.SKLEARN].share is None
    assert document.costs.fixed_seconds > 0
    assert {row.workers for row in document.simulated} == {*simulation.WORKERS}
    for text in ("dask_data_parallel, 2 workers", "costs on a cluster of 2 workers", "simulated epoch", "picture: "):
        assert text in out
    assert draw(["out.json", "."]) == 0
    assert "<svg" in Path("scale_out.svg").read_text()


def test_an_interrupted_command_goes_on_after_the_last_number_of_samples(empty_folder, monkeypatch, capsys):
    counts = []

    def measure(_, name, workers, count, rows):
        counts.append(count)
        if counts.count(2000) == 2 and "--resume" not in arguments:
            raise KeyboardInterrupt
        return "its process ended"

    monkeypatch.setattr(measurement, "in_fresh_process", measure)
    monkeypatch.setattr(measurement, "epoch_target", lambda *_: None)  # there is no result to judge
    arguments = ["scale-out", "--samples", "1000", "--samples", "2000", "--rounds", "1"]
    assert main(arguments) == 130
    assert "scale-out.partial.json has the results so far; to continue" in capsys.readouterr().err.replace("\n", " ")
    counts.clear()
    arguments.append("--resume")
    assert main([*arguments, "--json", "out.json"]) == 1  # no method could be timed
    assert set(counts) == {2000}
    assert {row.samples for row in files.read(Path("out.json"), ScaleOut).rows} == {1000, 2000}
    assert not Path("results", "scale-out.partial.json").exists()


def test_without_dask_the_other_methods_stay(monkeypatch):
    monkeypatch.setattr(measurement, "find_spec", lambda name: None if name in ("dask", "distributed") else name)
    arm = measurement.candidates([2])["dask_data_parallel, 2 workers"]
    reason = measurement._obstacle("dask_data_parallel, 2 workers", arm, 10)
    assert reason == "not run: distributed is not installed; install mlpbench[cluster]"
    document = ScaleOut.model_construct(rows=[], costs=None, simulated=[], break_even=[])
    assert "simulated" not in terminal.rendered(*scale_out_tables.scale_out(document))


def test_a_report_takes_no_file_of_scale_out_for_one_of_scale(tmp_path):
    for name in ("scale-20260101T000000Z-abcdef.json", "scale-out-20270101T000000Z-abcdef.json", "scale-out.json"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in sources.latest(tmp_path)] == ["scale-20260101T000000Z-abcdef.json"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--samples", "0"], "--samples must be from 1 to 1000000000, got 0"),
        (["--workers", "65"], "--workers must be from 1 to 64, got 65"),
        (["--partition-rows", "-1"], "--partition-rows must be from 1"),
        (["--rounds", "0"], "--rounds must be from 1 to 100, got 0"),
        (["--samples", "many"], "'many' is not a valid integer"),
        (["--json", "foreign.json"], "foreign.json"),
    ],
)
def test_wrong_input_is_one_line(empty_folder, capsys, arguments, text):
    Path("foreign.json").write_text(json.dumps({"a": 1}))
    assert text in one_line_error(capsys, "scale-out", *arguments)
