"""Completion in the shell."""

import pytest

from bench import cases
from bench.cli.main import cli, main
from bench.tutorials import registry
from impls import _network
from pairbench.cli.destinations import FORMATS


def complete(words, monkeypatch, capsys):
    """The words that a shell offers for the last, unfinished word of a command line."""
    monkeypatch.setenv("_MLPBENCH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"mlpbench {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(f"mlpbench {words}".split(" ")) - 1))
    assert main([]) == 0
    return {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("", {name for name, command in cli.commands.items() if not command.hidden}),
        ("ba", {"backends", "baseline"}),
        ("baseline ", {"accept", "record", "show"}),
        ("run --hid", {"--hidden"}),
        ("run --hidden ", set(_network.HIDDEN)),
        ("run --output-activation ", {output for outputs in _network.OUTPUTS.values() for output in outputs}),
        ("compare a b --loss ", set(_network.OUTPUTS)),
        ("compare a b --dtype ", set(cases.DTYPES)),
        ("gate --form", {"--format"}),
        ("gate --format ", set(FORMATS)),
        ("run --format ma", {"markdown"}),
        ("run --operation ", set(cases.OPERATIONS)),
        ("run --backend numba", {"numba_jit", "numba_plain", "numba_simd"}),
        ("verify numpy_v", {"numpy_vectorized"}),
        ("compare graph numpy_v", {"numpy_vectorized"}),
        ("tutorials ", {tutorial.key for tutorial in registry.select_tutorials((), False)}),
    ],
)
def test_a_shell_completes(words, offered, monkeypatch, capsys):
    assert complete(words, monkeypatch, capsys) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell, monkeypatch, capsys):
    monkeypatch.setenv("_MLPBENCH_COMPLETE", f"{shell}_source")
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    assert main([]) == 0
    assert "_MLPBENCH_COMPLETE=" in capsys.readouterr().out


def test_the_list_of_commands_cuts_no_description(capsys):
    for group in ([], ["baseline"]):
        assert main([*group, "--help"]) == 0
        assert "..." not in capsys.readouterr().out.partition("Commands:")[2]
