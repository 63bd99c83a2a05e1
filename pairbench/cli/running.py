"""Runs a program of commands, and turns errors into messages of one line and exit statuses."""

from __future__ import annotations

__all__ = ["exit_after", "run"]

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import click

from pairbench.cli.exit_codes import INTERNAL_ERROR, INTERRUPTED, USAGE_ERROR
from pairbench.visible_text import one_line, visible_lines

TRACEBACK_VARIABLE = "MLPBENCH_TRACEBACK"
"""Environment variable that, with the value 1, has an internal error print its traceback."""


def run(
    program: click.Group, name: str, argv: Sequence[str] | None, prepare: Callable[[], object] = lambda: None
) -> int:
    """Run a command line, by default that of this process, and return its exit status. ``prepare`` is called first."""
    try:
        prepare()
        with program.make_context(name, list(sys.argv[1:] if argv is None else argv)) as context:
            return int(program.invoke(context))
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _fail(name, _usage(error), USAGE_ERROR)
    except KeyboardInterrupt as interruption:
        return _fail(name, str(interruption) or "interrupted", INTERRUPTED)
    except OSError as error:  # the system refused something, such as a new process
        return _fail(name, f"{error.filename or 'the system'}: {error.strerror or error}", USAGE_ERROR)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE) == "1":
            print(visible_lines(traceback.format_exc()), file=sys.stderr)
        return _fail(name, f"{type(error).__name__}: {error}", INTERNAL_ERROR)


def exit_after(main: Callable[[], int]) -> NoReturn:
    """Call ``main`` and end this process with the status that it returns, whatever its streams accept."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an encoding without µ must not lose the table
    status = main()
    _drop_unwritten_text()
    sys.exit(status)


def _drop_unwritten_text() -> None:
    """Drop the text that a stream has not accepted: Python would write it again at exit, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(name: str, text: str, status: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{name}: {one_line(text)}", file=sys.stderr, flush=True)
    return status


def _usage(error: click.ClickException) -> str:
    """An error of click as one line, with a hint: the commands, or the command for help."""
    text = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    if isinstance(context.command, click.Group):
        names = [name for name, command in sorted(context.command.commands.items()) if not command.hidden]
        return f"{text}; commands: {', '.join(names)}"
    return f"{text}; see {context.command_path} --help"
