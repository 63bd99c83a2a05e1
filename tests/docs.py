"""Checks of the documentation: code blocks, command lines, links, glossary and settings.

Each check returns a list of errors, or a single error or None.
"""

import ast
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

import impls
from bench.cli.main import cli
from pairbench.cli.main import cli as pairbench_cli

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "mlpbench-example-backend"
OTHERS = {"yours", "numpy_einsum"}
"""Backends in documented command lines that are not in this project: a placeholder and the example package's."""

CASES = re.compile(r"\d+(-\d+)+")


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its text, and the number of its first line in the file."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """The fenced code blocks of a page."""
    fenced = []
    for match in re.finditer(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        fenced.append(Block(match[1], match[2], text.count("\n", 0, match.start()) + 1))
    return fenced


def prose(text: str) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def check_page(path: Path, text: str | None = None) -> list[str]:
    """Errors in a page: in its code blocks, which are not run, its command lines and its links."""
    text = path.read_text(encoding="utf-8") if text is None else text
    errors = []
    for block in blocks(text):
        check = CHECKS.get(block.language)
        block_errors = (
            check(block.text) if check else [f"a block of {block.language or 'no language'} cannot be checked"]
        )
        errors += [f"line {block.line}: {error}" for error in block_errors]
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(text)):
        if span.split()[0] in ("mlpbench", "pairbench", "make", "pytest") and " " in span:
            errors += check_command(span)
    return errors + check_links(path, text)


def check_python(text: str) -> list[str]:
    """A Python block must be valid syntax. ``run_python`` runs it."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return [f"is not Python: {error}"]
    return []


def run_python(block_texts: list[str], folder: Path) -> list[str]:
    """Run the Python blocks of a page one after the other in a fresh process, and compare the output of each.

    The comments in the last lines of a block show its expected output.
    """
    marker = "=== a block begins ==="
    source = "\n".join(part for text in block_texts for part in (f"print({marker!r})", text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    _, *outputs = done.stdout.split(marker + "\n")
    errors = []
    if done.returncode:
        errors.append(f"Python block {len(outputs)} fails: {done.stderr.strip().splitlines()[-1]}")
        del outputs[-1:]
    for number, (text, output) in enumerate(zip(block_texts, outputs, strict=False), start=1):
        printed, shown = output.splitlines(), shown_output(text)
        if printed != shown:
            errors.append(f"Python block {number} prints {printed}, and shows {shown}")
    return errors


def shown_output(text: str) -> list[str]:
    """The expected output of a block: the comments in its last lines."""
    lines = text.rstrip().splitlines()
    first = len(lines)
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return [line.removeprefix("#").removeprefix(" ") for line in lines[first:]]


def check_shell(text: str) -> list[str]:
    """Every line of a shell block must be a command that exists, with options that exist."""
    return [error for line in commands(text) for error in check_command(line)]


def commands(text: str) -> Iterator[str]:
    """The command lines of a block: all lines except comments, or only the lines with a prompt if there is a ``$``."""
    joined = text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    yield from lines


def check_command(line: str) -> list[str]:
    """Errors in a command line."""
    words = shlex.split(line)
    program = words[0].removeprefix(".venv/bin/")
    check = PROGRAMS.get(program)
    error = f"{program} is no program that the documentation may use" if check is None else check(words[1:])
    return [f"`{line}`: {error}"] if error else []


def check_mlpbench(words: list[str]) -> str | None:
    """Errors in a command line of mlpbench."""
    return check_program("mlpbench", cli, words)


def check_pairbench(words: list[str]) -> str | None:
    """Errors in a command line of pairbench."""
    return check_program("pairbench", pairbench_cli, words)


def check_program(name: str, program: click.Group, words: list[str]) -> str | None:
    """Parse a command line of a program with its own parser."""
    command: click.Command = program
    context = click.Context(program, info_name=name, **program.context_settings)
    path = [name]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        path.append(name)
        inner = command.get_command(context, name)
        if inner is None:
            return f"{' '.join(path)} is no command"
        command, context = inner, click.Context(inner, info_name=name, parent=context)
    try:
        with redirect_stdout(io.StringIO()):  # --help would print
            options = command.make_context(path[-1], list(words), parent=context.parent).params
    except click.exceptions.Exit:  # --help, --version
        return None
    except click.MissingParameter as error:
        return error.format_message() if words else None  # without words, the text names the command
    except click.UsageError as error:
        return error.format_message()
    return check_values(options)


def check_values(options: dict) -> str | None:
    """Backends must exist, or be results files; networks must be layer sizes."""
    named = [*(options.get("backend") or ()), *(options.get("names") or ())]
    unknown = {name for name in named if name not in {*impls.names(), *OTHERS} and not name.endswith(".json")}
    if unknown:
        return f"{', '.join(sorted(unknown))}: no such backend"
    wrong = [name for name in options.get("network") or () if not CASES.fullmatch(name)]
    return f"{wrong[0]} is no network" if wrong else None


@cache
def pytest_options() -> set[str]:
    """All options of pytest, with the plugins that this project uses."""
    command = [sys.executable, "-m", "pytest", "-p", "pairbench.plugin", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", done.stdout))


def check_pytest(words: list[str]) -> str | None:
    """Options, files and modules must exist."""
    for word in words:
        if word.startswith("-"):
            if word.partition("=")[0] not in pytest_options():
                return f"pytest has no option {word.partition('=')[0]}"
        elif not (ROOT / word).exists() and not (ROOT / word.replace(".", "/")).with_suffix(".py").exists():
            return f"there is no {word}"
    return None


def check_make(words: list[str]) -> str | None:
    """Targets and variables must exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        if "=" in word:
            if f"$({word.partition('=')[0]})" not in makefile and f"{word.partition('=')[0]} ?=" not in makefile:
                return f"the Makefile has no variable {word.partition('=')[0]}"
        elif not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE):
            return f"the Makefile has no target {word}"
    return None


def check_pip(words: list[str]) -> str | None:
    """Only existing files, folders and extras of this project may be installed."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    if words[:1] != ["install"]:
        return "is no installation"
    for word in words[1:]:
        path, _, extra = word.partition("[")
        if extra and extra.rstrip("]") not in extras:
            return f"there is no extra {extra.rstrip(']')}"
        if word not in ("-c", "-e") and not (ROOT / path).exists():
            return f"there is no {path}"
    return None


def check_source(words: list[str]) -> str | None:
    """Only the activation script of the virtual environment may be sourced."""
    return None if words == [".venv/bin/activate"] else "is no script that make installs"


def check_eval(words: list[str]) -> str | None:
    """Only the script that sets up completion may be evaluated."""
    return None if words == ["$(_MLPBENCH_COMPLETE=bash_source mlpbench)"] else "is not the script for completion"


def check_links(path: Path, text: str) -> list[str]:
    """Relative links and their anchors must resolve."""
    errors = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            errors.append(f"the link {target} leads nowhere")
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            errors.append(f"the link {target}: {file.name} has no such heading")
    return errors


def anchors(text: str) -> set[str]:
    """The anchors that GitHub derives from a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_toml(text: str) -> list[str]:
    """A TOML block must be part of the example package's pyproject.toml."""
    try:
        shown = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [f"is not TOML: {error}"]
    whole = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    return [] if _is_part(shown, whole) else ["is no part of the example package's pyproject.toml"]


def _is_part(part: object, whole: object) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(value, whole[key]) for key, value in part.items())
    return part == whole


def check_mermaid(text: str) -> list[str]:
    """Every node of a flowchart must have a label in one of its occurrences."""
    first, *lines = text.strip().splitlines()
    if not re.fullmatch(r"flowchart (TD|LR)", first):
        return [f"{first} is no kind of diagram that is used here"]
    labelled = set(re.findall(r"(\w+)\[\"[^\"]+\"\]", text))
    ends = {end for line in lines for end in re.sub(r"\[\"[^\"]*\"\]", "", line).replace("-->", " ").split()}
    return [f"{name} has no label" for name in sorted(ends - labelled)]


def glossary(text: str) -> dict[str, tuple[str, str]]:
    """The terms of the glossary, each with its sentence and its source."""
    entries = re.findall(r"^- \*\*(.+?)\*\*: (.+?) Source:\s(.+?)(?=^- |^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return {term: (" ".join(meaning.split()), " ".join(source.split())) for term, meaning, source in entries}


def check_glossary(text: str, terms: set[str]) -> list[str]:
    """Every term must have one sentence, and a source with a year or an address."""
    entries = glossary(text)
    errors = [f"{term} is missing" for term in sorted(terms - {term.lower() for term in entries})]
    for term, (meaning, source) in entries.items():
        if not re.fullmatch(r"[A-Z].*\.", meaning) or re.search(r"\.\s+[A-Z]", meaning):
            errors.append(f"{term} has not one sentence: {meaning}")
        if not re.search(r"\b(19|20)\d\d\b|https://", source):
            errors.append(f"{term} has no source that can be looked up: {source}")
    return errors


def check_settings(text: str) -> list[str]:
    """Table rows that begin with the dotted name of a constant must state its value in the next cell."""
    errors = []
    for name, value in re.findall(r"^\| `((?:bench|pairbench|impls)(?:\.\w+)+)` \| ([^|]+) \|", text, re.MULTILINE):
        try:
            actual = resolve(name)
        except (ImportError, AttributeError) as error:
            errors.append(f"{name}: {error}")
            continue
        if actual != ast.literal_eval(value.strip()):
            errors.append(f"{name} is {actual}, not {value.strip()}")
    return errors


def resolve(name: str) -> object:
    """The object that a dotted name refers to: a module or an attribute. Raises ImportError or AttributeError."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        try:
            value: object = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise ImportError(f"there is no {name}")


CHECKS = {
    "python": check_python,
    "sh": check_shell,
    "console": check_shell,
    "toml": check_toml,
    "mermaid": check_mermaid,
}
PROGRAMS = {
    "mlpbench": check_mlpbench,
    "pairbench": check_pairbench,
    "pytest": check_pytest,
    "make": check_make,
    "pip": check_pip,
    "source": check_source,
    "eval": check_eval,
}
