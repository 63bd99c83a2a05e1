"""The command line: its output, its files and its exit statuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import impls
from bench import backend_listing, selection, suite, timing_proof
from bench.cli.main import main
from bench.proof import verify
from bench.proof.mutants import MUTANTS
from bench.proof.targets import Target
from bench.proof.timing_mutants import TIMING_MUTANTS
from bench.records import files, schema
from bench.report import tables
from bench.roofline import probes
from bench.roofline.lower_bound import MachineLimits
from impls import numpy_plain
from tests.helpers import ONE_PROCESS, ROOT, TINY, TINY_EFFORT, one_line_error, set_quick_effort
from tests.quick_probe import probe_quickly
from tests.third_party import OFF

# Nearly every test starts processes.
pytestmark = pytest.mark.slow

COMMANDS = (
    "backends, baseline, compare, error-rates, gate, history, report, run, scale, scale-out, speed, tutorials, "
    "verify, warm"
)
FAST = MachineLimits(
    products={("float64", "any"): 1e12},
    exponentials={"float64": 1e12},
    reading={1: 1e12},
    calls={("float64", "forward, 1 sample"): 1.0, ("float64", "forward, a batch"): 1e12},
)
"""Peak rates of a fast machine on which an empty call with one sample takes a second."""

USABLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
WRONG = ("0", "-1", str(USABLE + 1), "1000")
FEW = ("--quick", "--network", "3-3-1", "--operation", "forward")


@pytest.fixture(autouse=True)
def quick(empty_folder, monkeypatch, forked_workers):
    set_quick_effort(monkeypatch, ONE_PROCESS)


@pytest.fixture
def two_processes(quick, monkeypatch):
    """Let ``--quick`` time in two processes, so that there are intervals."""
    set_quick_effort(monkeypatch, TINY)


@pytest.mark.fresh_workers
@pytest.mark.usefixtures("two_processes")
def test_run_prints_a_table_and_stores_the_results(capsys):
    assert main(["run", *FEW, "--backend", "numpy_plain"]) == 0
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"forward 3-3-1, 1 sample, float64", out)
    for name in ("python_loops", "numpy_plain", "A/A"):
        assert len(re.findall(rf"^{name} .* (ns|µs) ", out, re.MULTILINE)) == 2
    assert "within 2 % in" in out
    assert "--quick leaves out" in out
    assert "process 2 of 2" in err
    (latest,) = Path("results").glob("latest.json")
    stored = Path("results") / json.loads(latest.read_text())["file"]
    assert str(stored) in out
    run = files.read(stored, schema.Run)
    assert [row.arm for row in run.rows] == ["python_loops", "numpy_plain", "A/A"] * 2
    assert all(row.ok for row in run.rows)
    assert run.options["network"] == ["3-3-1"]
    assert len(run.processes) == 2
    for process in run.processes:
        for samples in process.samples:
            assert len(samples.block) == len(samples.position) == len(samples.seconds) > 0


def test_the_roofline_is_in_the_table_and_in_the_json(capsys, monkeypatch):
    monkeypatch.setattr(probes, "PROCESSES", 1)
    monkeypatch.setattr(probes, "probe_machine", probe_quickly)
    assert main(["run", *FEW, "--backend", "numpy_plain", "--roofline", "--json", "run.json"]) == 0
    out, err = capsys.readouterr()
    assert "measuring the roofline, process 1 of 1" in err
    document = files.read(Path("run.json"), schema.Run)
    assert {row.what for row in document.roofline} == {"products", "exponentials", "reading", "calls"}
    assert all(row.roofline_share == row.lower_bound_seconds / row.seconds for row in document.rows)
    by_title = {tables.case_title(row): row.lower_bound_seconds for row in document.rows}
    for title, bound in by_title.items():
        assert f"{title}, float64 (≥ {tables.duration(bound)})" in out
    assert re.search(r"^exponential +[\d.]+ ns$", out, re.MULTILINE)
    assert len(re.findall(r"^numpy_plain .* % +[\d.]+$", out, re.MULTILINE)) == 2


def test_a_roofline_share_above_one_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(probes, "measure_limits", lambda cases, progress: FAST)
    assert main(["run", *FEW, "--backend", "numpy_plain", "--limits", "--json", "run.json"]) == 0  # the former name
    captured = capsys.readouterr()
    assert "mlpbench: --limits is now called --roofline\n" in captured.err
    out = " ".join(captured.out.split())
    rows = files.read(Path("run.json"), schema.Run).rows
    above = {(row.arm, row.batch) for row in rows if row.roofline_share > 1}
    assert above == {
        (arm, 1) for arm in ("python_loops", "numpy_plain", "A/A")
    }  # an empty call has a lower bound of a second
    assert out.count("(forward 3-3-1, 1 sample): the lower bound is wrong, or a measurement was disturbed.") == 3
    assert "(forward 3-3-1, batch 64): the lower bound" not in out


def test_without_the_option_there_is_no_roofline(capsys):
    assert main(["run", *FEW, "--backend", "numpy_plain", "--json", "run.json"]) == 0
    document = files.read(Path("run.json"), schema.Run)
    assert document.roofline == []
    assert {(row.lower_bound_seconds, row.roofline_share) for row in document.rows} == {(None, None)}
    assert "roofline" not in capsys.readouterr().out


def test_the_table_lists_the_backends_in_order(capsys):
    assert main(["run", *FEW, "--batch", "1"]) == 0
    out = capsys.readouterr().out
    names = re.findall(r"^(\w+|A/A) +[\d.]+ [nµm]?s", out, re.MULTILINE)
    assert tuple(names[: len(selection.TABLE_ORDER)]) == selection.TABLE_ORDER
    assert names[-1] == "A/A"


def test_json_on_standard_output_stands_alone(capsys):
    assert main(["run", *FEW, "--backend", "numpy_plain", "--json", "-"]) == 0
    out, _ = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == "mlpbench.run/2"
    assert {row["backend"] for row in document["rows"]} == {"python_loops", "numpy_plain"}


def test_json_overwrites_an_earlier_document_of_the_same_kind(capsys):
    for _ in range(2):
        assert main(["backends", "--json", "listing.json"]) == 0
    listing = files.read(Path("listing.json"), schema.Listing)
    assert {row.backend for row in listing.rows} == set(impls.names())


def test_float32_beside_a_reference_in_float64(capsys):
    assert main(["run", *FEW, "--dtype", "float32", "--backend", "numpy_plain", "--json", "run.json"]) == 0
    out = capsys.readouterr().out
    assert out.count("python_loops does not support float32: the reference ran in float64.") == 1
    rows = files.read(Path("run.json"), schema.Run).rows
    assert {(row.arm, row.dtype) for row in rows} == {
        ("python_loops", "float64"),
        ("A/A", "float64"),
        ("numpy_plain", "float32"),
    }
    assert all(row.ok and row.speedup for row in rows)


def test_a_backend_that_fails_is_not_timed_and_gives_status_1(capsys, third_party):
    third_party("wrong", OFF)
    assert main(["run", *FEW, "--backend", "wrong", "--json", "run.json"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^wrong +failed", out, re.MULTILINE)
    assert re.search(r"^wrong failed: output.* is .*, not ", out, re.MULTILINE)
    by_arm = {(row.arm, row.batch): row for row in files.read(Path("run.json"), schema.Run).rows}
    row = by_arm["wrong", 64]
    assert (row.ok, row.seconds, row.speedup) == (False, None, None)
    assert row.ulps > 0
    assert row.share > 1
    assert by_arm["python_loops", 64].ok


@pytest.mark.usefixtures("two_processes")
def test_compare_prints_the_ratio_and_its_meaning(capsys):
    assert main(["compare", "numpy_plain", "python_loops", *FEW, "--json", "both.json"]) == 0
    out = capsys.readouterr().out
    assert (
        len(re.findall(r"^forward 3-3-1, .* [mµn]s  .* [mµn]s  +[\d.e+]+ \[[\d.e+]+, [\d.e+]+\]", out, re.MULTILINE))
        == 2
    )
    assert "ratio: time of numpy_plain ÷ time of python_loops; above 1, python_loops is faster." in out
    assert re.search(r"^python_loops is faster, by the whole 95 % interval, in [012] of 2 cases\.$", out, re.MULTILINE)
    document = files.read(Path("both.json"), schema.Comparison)
    assert [row.arm for row in document.rows] == ["numpy_plain", "python_loops", "A/A"] * 2
    assert {row.reference for row in document.rows} == {"numpy_plain"}
    assert not Path("results").exists()


NEEDS_TWO_CPUS = pytest.mark.skipif(USABLE < 2, reason="needs two CPUs")


@NEEDS_TWO_CPUS
def test_run_on_two_threads(capsys, third_party):
    arguments = [
        "run",
        "--threads",
        "2",
        *FEW,
        "--backend",
        "numpy_plain",
        "--backend",
        "threaded",
        "--json",
        "run.json",
    ]
    third_party("threaded", "    import numba; numba.get_num_threads()")  # loads Numba, but compiles nothing
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert len(re.findall(r"^forward 3-3-1, .*, float64, 2 threads$", out, re.MULTILINE)) == 2
    run = files.read(Path("run.json"), schema.Run)
    assert {row.threads for row in run.rows} == {2}
    assert run.options["threads"] == 2
    for process in run.processes:
        assert {pool.library for pool in process.pools} > {"numba"}  # BLAS has a pool, too
        assert {pool.num_threads for pool in process.pools} == {2}


@NEEDS_TWO_CPUS
def test_compare_on_two_threads(capsys):
    assert main(["compare", "numpy_plain", "python_loops", *FEW, "--threads", "2", "--json", "both.json"]) == 0
    assert re.search(r"^case, 2 threads +numpy_plain", capsys.readouterr().out, re.MULTILINE)
    document = files.read(Path("both.json"), schema.Comparison)
    assert {row.threads for row in document.rows} == {document.options["threads"]} == {2}
    assert {pool.num_threads for process in document.processes for pool in process.pools} == {2}


@NEEDS_TWO_CPUS
def test_a_backend_that_sets_another_thread_count_is_named(capsys, third_party):
    third_party(
        "single_threaded",
        """
    def _store(self, parameters):
        import threadpoolctl
        threadpoolctl.threadpool_limits(1)
        super()._store(parameters)
""",
    )
    assert main(["run", "--threads", "2", *FEW, "--backend", "single_threaded"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^single_threaded failed: \w+ uses 1 thread instead of 2$", out, re.MULTILINE)
    assert re.search(r"^A/A +\d", out, re.MULTILINE)


def test_what_a_backend_prints_is_visible_and_does_not_mix_with_the_results(capsys, monkeypatch, third_party):
    monkeypatch.setattr("bench.suite.MUTANTS", [])
    monkeypatch.setattr("bench.suite.TIMING_MUTANTS", [])
    monkeypatch.setattr("bench.suite.timing_proof.try_timing_mutants", lambda: [])
    monkeypatch.setattr("bench.proof.verify._NETWORKS", verify.NETWORKS[:1])
    third_party(
        "talking",
        """
    print("\\x1b[31mimported")

    def _loss(self, X, Y):
        print("\\x1b[31mcalled")
        return super()._loss(X, Y)
""",
    )
    capsys.readouterr()
    monkeypatch.delitem(sys.modules, "talking_module")
    assert main(["verify", "talking", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("{")
    assert json.loads(out)["command"] == "verify"
    assert "\x1b" not in err
    assert "\\x1b[31mimported" in err
    assert "\\x1b[31mcalled" in err


def test_a_backend_that_replaces_the_judge_when_it_is_imported_is_refused(capsys, third_party):
    third_party("meddling", module=MEDDLING)
    judge = Target.judge
    line = one_line_error(capsys, "run", *FEW, "--backend", "meddling")
    assert "backend meddling replaces bench.proof.targets.Target.judge when it is imported" in line
    assert Target.judge is judge


MEDDLING = """
from bench.proof.targets import Target
from impls.numpy_plain import Model

Target.judge = lambda self, computed: None
"""
MISSING = "import a_library_that_is_not_there\n"


def test_backends_lists_installed_and_broken_backends(capsys, third_party):
    third_party("third")
    third_party("broken", module="1 / 0\n")
    third_party("unresolved", module=MISSING)
    assert main(["backends", "--json", "listing.json"]) == 0
    out = capsys.readouterr().out
    rows = {row.backend: row for row in files.read(Path("listing.json"), schema.Listing).rows}
    assert rows["numba_simd"].libraries.keys() == {"numba"}
    assert rows["numpy_plain"].status == "installed"
    assert rows["numpy_plain"].dtypes == ["float64", "float32"]
    assert (rows["third"].origin, rows["third"].status) == ("third party", "installed")
    assert rows["broken"].status == "broken"
    assert "ZeroDivisionError" in rows["broken"].reason
    assert "a_library_that_is_not_there" in rows["unresolved"].reason
    assert rows["broken"].reason in out


def test_the_installed_packages_are_read_once_for_all_backends(monkeypatch):
    read, calls = metadata.packages_distributions, []
    monkeypatch.setattr(metadata, "packages_distributions", lambda: calls.append("read") or read())
    monkeypatch.setattr(impls, "origins", lambda: dict.fromkeys(("numpy_plain", "graph"), "core"))
    assert [sorted(row.libraries) for row in backend_listing.rows()] == [["numpy"], ["scipy"]]
    assert calls == ["read"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("baseline",), "Missing command; commands: accept, record, show"),
        (("walk",), f"No such command 'walk'; commands: {COMMANDS}"),
        (("run", "--zzz"), "No such option"),
        (("run", "3-3-1"), "see mlpbench run --help"),
        (("run", "--network"), "'--network' requires an argument"),
        (("run", "--network", "3"), "such as 3-3-1"),
        (("run", "--network", "3-0-1"), "must be 1 or more, got 0"),
        (
            ("run", "--operation", "foward"),
            "unknown operation 'foward' (did you mean forward?); choose from forward, gradient, train",
        ),
        (
            ("run", "--dtype", "float23"),
            "unknown dtype 'float23' (did you mean float32?); choose from float64, float32",
        ),
        (("run", "--hidden", "softmax"), "hidden must be one of sigmoid, tanh, relu, got 'softmax'"),
        (
            ("compare", "numpy_plain", "graph", "--output-activation", "step"),
            "output must be one of identity, relu, sigmoid, soft",
        ),
        (("run", "--loss", "hinge"), "loss must be one of half_squared_error, mean_squared_error, binary_cross_ent"),
        (
            ("run", "--output-activation", "relu", "--loss", "binary_cross_entropy"),
            "goes with output sigmoid, not with relu",
        ),
        (("run", "--backend", "torchlight"), "numpy_vectorized"),
        (("run", "--backend", "python_loops", "--dtype", "float32"), "python_loops does not support float32"),
        *(((command, "--threads", "x"), "'x' is not a valid integer") for command in ("run", "compare")),
        *((("run", "--threads", n), f"from 1 to {USABLE}, the number of usable CPUs; got {n}") for n in WRONG),
        (("compare", "numba_simd", "numpy_plain", "--threads", "0"), "got 0"),
        *([(("run", "--roofline", "--threads", "2"), "--roofline is measured on one thread")] if USABLE > 1 else []),
        (("run", "--json", "no/where.json"), "there is no folder no"),
        (("run", "--json", "."), "name a file"),
        (("speed", "--markdown", "no/where.md"), "there is no folder no"),
        (("speed", "--json", "."), "name a file"),
        (
            ("compare", "numpy_plain"),
            "name two backends, or two or more results files (.json); see mlpbench compare --help",
        ),
        (("compare", "numpy_plain", "numpy_plain"), "name two backends"),
        (("compare", "numpy_plain", "torchlight"), "numpy_vectorized"),
        (("compare", "python_loops", "numpy_plain", "--dtype", "float32"), "python_loops does not support float32"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_one_line_and_status_2(capsys, arguments, text):
    assert text in one_line_error(capsys, *arguments)
    assert not list(Path().iterdir())


def test_the_activations_and_the_loss_are_those_of_the_options(capsys):
    functions = ("--hidden", "tanh", "--output-activation", "softmax", "--loss", "categorical_cross_entropy")
    few = ("--quick", "--network", "4-3-2", "--operation", "gradient", "--json", "run.json")
    assert main(["run", *few, *functions, "--backend", "numpy_plain"]) == 0
    out = capsys.readouterr().out
    assert "gradient 4-3-2 tanh/softmax categorical_cross_entropy, batch 64, float64" in out
    run = files.read(Path("run.json"), schema.Run)
    chosen = {"hidden": "tanh", "output": "softmax", "loss": "categorical_cross_entropy"}
    assert {(row.hidden, row.output, row.loss) for row in run.rows} == {tuple(chosen.values())}
    assert chosen.items() <= run.options.items()
    assert all(row.ok and row.seconds for row in run.rows)
    Path("run.json").unlink()
    assert main(["compare", "numpy_plain", "python_loops", *few, *functions]) == 0
    document = files.read(Path("run.json"), schema.Comparison)
    assert {(row.hidden, row.output, row.loss) for row in document.rows} == {tuple(chosen.values())}


@pytest.mark.usefixtures("two_processes")
def test_a_backend_whose_name_is_refused_is_named_and_the_others_run(capsys, monkeypatch):
    reason = "backend 'z\\n' of 'mlpbench' is refused: its name must be a Python identifier"
    monkeypatch.setattr(impls, "misnamed", lambda: {"z\n": ("added", reason)})
    monkeypatch.setattr(selection, "BY_DEFAULT", ("added",))
    monkeypatch.setattr(impls, "origins", lambda: {"python_loops": "core", "numpy_plain": "added"})
    assert main(["run", *FEW, "--batch", "1"]) == 1
    out = capsys.readouterr().out
    assert f"broken: {reason}\n" in out
    assert re.search(r"^numpy_plain .* \[", out, re.MULTILINE)
    assert main(["run", *FEW, "--batch", "1", "--backend", "numpy_plain"]) == 0
    capsys.readouterr()
    assert main(["backends"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^z\\n +added +broken ", out, re.MULTILINE)
    assert reason in out


HOSTILE = "    def _forward_batch(self, X): raise ValueError('\\x1b[31mred\\r\\n|x|<b>\\u202e\\ud800')"


def test_the_text_of_a_backend_is_shown_and_stored_as_visible_characters(capsys, third_party):
    third_party("hostile", HOSTILE)
    assert main(["run", *FEW, "--backend", "hostile", "--json", "run.json"]) == 1
    out = capsys.readouterr().out
    text = r"ValueError: \x1b[31mred |x|<b>\u202e\ud800 (hostile_module.py, line 8)"
    assert f"hostile failed: {text}\n" in out
    rows = files.read(Path("run.json"), schema.Run).rows
    assert {row.reason for row in rows if not row.ok} == {text}
    for shown in (out, Path("run.json").read_text()):
        assert all(character.isprintable() or character == "\n" for character in shown)


def test_a_named_backend_that_is_broken_is_an_error(capsys, third_party):
    third_party("broken", module="1 / 0\n")
    assert "ZeroDivisionError" in one_line_error(capsys, "run", "--backend", "broken")


@pytest.mark.parametrize("content", ["{", '{"schema": "other"}', '{"schema": "mlpbench.latest/1", "file": 3}'])
def test_a_foreign_latest_json_is_refused_before_measuring(capsys, monkeypatch, content):
    monkeypatch.setattr(suite, "measure_cases", None)
    Path("results").mkdir()
    Path("results/latest.json").write_text(content)
    assert "results/latest.json" in one_line_error(capsys, "run")
    assert Path("results/latest.json").read_text() == content


def test_a_file_that_mlpbench_did_not_write_is_not_overwritten(capsys, monkeypatch):
    monkeypatch.setattr(suite, "measure_cases", None)
    Path("notes.txt").write_text("mine")
    for command in (("run",), ("compare", "numpy_plain", "python_loops"), ("backends",)):
        assert "notes.txt" in one_line_error(capsys, *command, "--json", "notes.txt")
    assert Path("notes.txt").read_text() == "mine"


def test_an_unexpected_error_is_one_line_and_status_4(capsys, monkeypatch):
    def fail():
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("pairbench.machine.describe", fail)
    assert one_line_error(capsys, "backends", status=4) == "mlpbench: RuntimeError: two lines"
    monkeypatch.setenv("MLPBENCH_TRACEBACK", "1")
    assert main(["backends"]) == 4
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("run", "--help"), ("compare", "-h")])
def test_help_is_status_0(capsys, arguments):
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: mlpbench")


def test_version(capsys):
    try:
        version = metadata.version("mlpbench")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlpbench, version {version}\n"


def test_help_imports_nothing_heavy():
    code = "import sys; from bench.cli.main import main; sys.exit(main(['--help']) or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def start(*arguments, **options):
    return subprocess.Popen([sys.executable, "-m", "bench", *arguments], stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("to_group", [True, False], ids=["from the terminal", "to the parent alone"])
def test_an_interrupted_run_ends_with_130_and_leaves_no_file(to_group):
    few = ("--network", "3-3-1", "--operation", "forward", "--backend", "numpy_plain")  # with ten processes per case
    process = start("run", *few, stdout=subprocess.PIPE, start_new_session=True)
    for line in process.stderr:
        if "timing, process 1" in line:
            break
    time.sleep(0.5)
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["mlpbench: interrupted; nothing was saved"]
    assert out == ""
    assert not list(Path("results").iterdir())
    with pytest.raises(ProcessLookupError):  # no worker is left in the group
        os.killpg(process.pid, 0)


def test_a_closed_output_pipe_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    Path("results").mkdir()
    process = start("history", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_terminal_encoding_without_greek_still_gets_the_table():
    done = subprocess.run(
        [*TINY_EFFORT, "compare", "numpy_plain", "python_loops", *FEW, "--batch", "1"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"time of numpy_plain ? time of python_loops" in done.stdout


def test_verify_prints_every_network_and_the_mutation_score(capsys, monkeypatch):
    networks = ("3-3-1 sigmoid/sigmoid ", "5-5-5 relu/relu ", "4-6-2 tanh/sigmoid ")
    few = tuple(one for one in verify.NETWORKS if one.layer_sizes in ((3, 3, 1), (5, 5, 5), (4, 6, 2)))
    monkeypatch.setattr(verify, "_NETWORKS", few)
    monkeypatch.setattr(suite, "MUTANTS", MUTANTS[:3])
    monkeypatch.setattr(timing_proof, "TIMING_MUTANTS", {"EveryThird": TIMING_MUTANTS["EveryThird"]})
    assert main(["verify", "numpy_plain", "--json", "proof.json"]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert lines[-2:] == ["mutants: 3 of 3 killed", "timing mutants: 1 of 1 caught"]
    assert max(map(len, lines)) <= 100
    assert {"numpy_plain, float64", "numpy_plain, float32"} <= set(lines)
    assert [sum(line.startswith(network) for line in lines) for network in networks] == [2, 2, 2]
    document = files.read(Path("proof.json"), schema.Proof)
    assert len(document.rows) == verify.count_checks(impls.load("numpy_plain"))
    assert all(row.ok and row.share is not None and row.share <= 1 for row in document.rows)
    assert [mutant.killed for mutant in document.mutants] == [True] * 3
    (caught,) = document.timing_mutants
    assert caught.reason.startswith("output[")


def test_a_wrong_backend_and_a_mutant_that_survives_are_findings(capsys, monkeypatch, third_party):
    third_party("wrong", OFF)
    monkeypatch.setattr(suite, "MUTANTS", [impls.Backend("harmless", "mutant", numpy_plain.Model)])
    monkeypatch.setattr(timing_proof, "TIMING_MUTANTS", {})
    monkeypatch.setattr(verify, "_NETWORKS", verify.NETWORKS[:2])
    assert main(["verify", "wrong"]) == 1
    out, _ = capsys.readouterr()
    assert re.search(r"^3-3-1 sigmoid/sigmoid +FAILS", out, re.MULTILINE)
    assert re.search(r"^3-3-1 sigmoid/sigmoid forward: output\[\d, 0\] is .*, not .* ± ", out, re.MULTILINE)
    assert "mutants: 0 of 1 killed" in out
    assert "survives: harmless: NumPy matrix form" in out


def test_the_points_show_the_one_sample_case(capsys):
    assert main(["run", *FEW, "--backend", "numpy_plain"]) == 0
    out, _ = capsys.readouterr()
    assert "forward 3-3-1, 1 sample: time per call, logarithmic axis\n" in out
    names = re.findall(r"^(\w+) +● +[\d.]+ (?:ns|µs)$", out, re.MULTILINE)
    assert names == ["python_loops", "numpy_plain"]


def test_results_are_stored_though_they_cannot_be_shown():
    arguments = [*TINY_EFFORT, "run", *FEW, "--batch", "1", "--backend", "numpy_plain"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(b"mlpbench: the system: No space left on device\n")
    assert len(list(Path("results").glob("run-*.json"))) == 1


def test_json_overwrites_neither_another_kind_of_document_nor_a_pipe(capsys):
    files.write(Path("latest.json"), schema.Latest(file="run.json"))
    assert "the file is not overwritten" in one_line_error(capsys, "backends", "--json", "latest.json")
    os.mkfifo("pipe")
    assert "pipe is not a regular file" in one_line_error(capsys, "backends", "--json", "pipe")
    assert "File name too long" in one_line_error(capsys, "backends", "--json", "a" * 300)
