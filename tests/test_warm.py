"""The command ``warm``: what it compiles is loaded by later processes, and failures have a reason."""

import re
from pathlib import Path

import pytest

from bench.cli.main import main
from tests.helpers import one_line_error, python

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("empty_folder", "forked_workers")]

TRAIN = """
import impls
network = impls.Network((3, 3, 1))
model = impls.load("numba_jit").build(network, network.random_parameters())
model.train([[1.0, 2.0, 3.0]], [[0.5]], epochs=1, learning_rate=0.1)
model.forward([[1.0, 2.0, 3.0]])
model.gradient([[1.0, 2.0, 3.0]], [[0.5]])
"""
ONE = ("--network", "3-3-1", "--dtype", "float64")


def test_later_processes_load_what_was_compiled(capsys):
    assert main(["warm", "--backend", "numba_jit", *ONE]) == 0
    out = "".join(capsys.readouterr().out.splitlines())
    assert re.search(r"numba_jit +[\d.]+ m?s +[\d.]+ m?s", out)
    folder = Path(re.search(r"the compiled code is in *(\S+)$", out)[1])
    code = {path: path.stat().st_mtime_ns for path in folder.glob("numba_jit.*")}
    assert any(path.suffix == ".nbc" for path in code)
    assert python("-c", TRAIN).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("numba_jit.*")} == code


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("raise ValueError('no compiler')", "failing failed: ValueError: no compiler"),
        ("os._exit(3)", "failing failed: the worker process ended with status 3 while"),
    ],
)
def test_a_backend_that_fails_is_named(third_party, capsys, call, reason):
    third_party(
        "failing",
        f"""
    compiles = True

    def _gradient(self, X, Y):
        {call}
""",
    )
    assert main(["warm", "--backend", "failing", *ONE]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "failing failed failed" in out
    assert reason in out


def test_a_backend_whose_code_is_not_kept_is_a_finding(third_party, capsys):
    third_party("forgetful", "    compiles = True")
    assert main(["warm", "--backend", "forgetful", *ONE]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "no kept code of forgetful was found: the backend keeps none, has a cache of its own, or cannot write" in out


def test_without_a_compiler_there_is_nothing_to_compile(empty_folder):
    program = "import sys; from bench.cli.main import main; sys.exit(main(['warm']))"
    done = python("-c", program, env={"NUMBA_DISABLE_JIT": "1"})
    assert done.returncode == 2
    assert "there is nothing to compile; left out: backend numba_plain cannot run here" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--backend", "numpy_plain"], "numpy_plain compiles nothing that is kept"),
        (["--backend", "nosuch"], "no backend is named 'nosuch'"),
        (["--dtype", "float16"], "unknown dtype 'float16'"),
        (["--network", "3"], "such as 3-3-1"),
        (["--threads", "0"], "--threads must be from 1 to"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, text):
    assert text in one_line_error(capsys, "warm", *arguments)
