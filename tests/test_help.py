"""The help of the commands, and what a person reads who does not know them yet."""

import re

import click
import pytest

from bench.cli.main import cli, main
from pairbench.cli.exit_codes import USAGE_ERROR
from tests import docs
from tests.helpers import one_line_error


def commands(command=cli, words=()):
    """All commands, as the words that call them."""
    yield words
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*words, name))


@pytest.mark.parametrize("words", [*commands()], ids=lambda words: " ".join(words) or "mlpbench")
@pytest.mark.parametrize("columns", ["60", "200"])
def test_every_help_ends_with_examples_that_the_parser_takes(words, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert main([*words, "--help"]) == 0
    heading, *lines = re.split(r"\n\n  (Examples?:)\n", capsys.readouterr().out)[1:]
    examples = [line.strip() for line in lines[-1].splitlines()]
    assert len(examples) == (1 if heading == "Example:" else 2)
    assert [error for example in examples for error in docs.check_command(example)] == []
    own = " ".join(["mlpbench", *words]).replace("documents", "tutorials").removesuffix(" baseline")
    assert all(f"{example} ".startswith(f"{own} ") for example in examples)


def test_without_a_command_mlpbench_says_how_to_begin(capsys):
    assert main([]) == USAGE_ERROR
    out, err = capsys.readouterr()
    assert out == ""
    first, *to_try, last = err.splitlines()
    assert first == "mlpbench: Missing command. To begin:"
    assert len(to_try) == 3
    for line in to_try:
        assert docs.check_command(line.strip().partition("  ")[0]) == []
    assert "mlpbench --help" in last


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("run --backend numba_jitt", "numba_jit"),
        ("verify numba_smid", "numba_simd"),
        ("compare numpy_plain grahp", "graph"),
        ("run --operation foward", "forward"),
        ("run --dtype flaot32", "float32"),
        ("run --hidden sigmod", "sigmoid"),
        ("run --output-activation sofmax", "softmax"),
        ("compare graph numpy_plain --loss mean_square_error", "mean_squared_error"),
        ("tutorials minifow", "miniflow"),
        ("run --netwrk 3-3-1", "--network"),
        ("warm --backend numba-jit", "numba_jit"),
    ],
)
def test_an_unknown_word_gets_the_most_similar_one(line, near, capsys, empty_folder):
    assert re.search(rf"[Dd]id you mean '?{near}'?\?", one_line_error(capsys, *line.split()))


def test_a_word_that_resembles_none_gets_no_suggestion(capsys):
    assert "did you mean" not in one_line_error(capsys, "run", "--hidden", "softmax")
    assert "did you mean" not in one_line_error(capsys, "run", "--operation", "loss")
