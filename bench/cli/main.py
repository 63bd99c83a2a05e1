"""Entry point of ``mlpbench``: runs a command, and turns errors into messages and exit statuses."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import shell_complete

from bench.cli.program import PROGRAM, cli
from bench.commands.exit_codes import INTERNAL_ERROR, INTERRUPTED, USAGE_ERROR
from pairbench import own_tree, threads
from pairbench.visible_text import one_line, visible_lines

COMPLETE_VARIABLE = "_MLPBENCH_COMPLETE"
"""Environment variable by which a shell asks for completions, or for the script that sets them up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read the entry points of all packages
    try:
        threads.limit_own_threads()
        if instruction := os.environ.get(COMPLETE_VARIABLE):
            return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
        with cli.make_context(PROGRAM, list(sys.argv[1:] if argv is None else argv)) as context:
            return int(cli.invoke(context))
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), USAGE_ERROR)
    except KeyboardInterrupt as interruption:
        return _fail(str(interruption) or "interrupted", INTERRUPTED)
    except OSError as error:  # the system refused something, such as a new process
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", USAGE_ERROR)
    except Exception as error:
        if os.environ.get("MLPBENCH_TRACEBACK") == "1":
            print(visible_lines(traceback.format_exc()), file=sys.stderr)
        return _fail(f"{type(error).__name__}: {error}", INTERNAL_ERROR)


def console() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an encoding without µ must not lose the table
    own_tree.guard([Path(__file__).parents[2]])
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


def _fail(text: str, status: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {one_line(text)}", file=sys.stderr, flush=True)
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
