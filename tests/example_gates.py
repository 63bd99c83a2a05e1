"""Measures how often the gate of the example project errs.

In ``python -m tests.example_gates PLANTED UNCHANGED FUNCTION``, PLANTED runs have a commit that makes FUNCTION (loops,
numpy or numba) 15 % slower, and UNCHANGED runs have one that adds a comment. Every run is a new repository, whose code
has not been compiled before, as in a job of continuous integration.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.gate.error_rates import verdict_rates
from bench.report import markdown, tables, terminal
from tests.example_project import MODULES, ExampleProject, verdicts

SLOWDOWN, TOLERANCE = 0.15, 0.015
MEASURE = """
import pairbench
from bench.data import make
from moving_median import {module} as module
found = pairbench.compare(module._whole, {{"planted": module.moving_median}}, args=make(), budget=10)
print(1 / found["planted"].speedup.estimate - 1)
"""
"""Prints the relative slowdown of a call."""
TRIES = 6
OUTCOMES = ("FAIL", "PASS", "INCONCLUSIVE")

Run = tuple[dict[str, str], float]
"""The verdicts by function, and the seconds of the run."""


def calibrate(project: ExampleProject, function: str) -> tuple[int, float]:
    """The percentage of the medians that has to be computed again for the slowdown, and the slowdown that it gives."""
    share = round(100 * SLOWDOWN)
    for _ in range(TRIES):
        project.start_anew()
        project.plant(function, share)
        measured = project.run("-c", MEASURE.format(module=MODULES[function]), check=True).stdout
        if abs(float(measured) - SLOWDOWN) <= TOLERANCE:
            return share, float(measured)
        share = max(1, round(share * SLOWDOWN / max(0.01, float(measured))))
    raise RuntimeError(f"no share of the work makes {function} {SLOWDOWN:.0%} slower; is the machine busy?")


def gate(project: ExampleProject) -> Run:
    """Run the gate. Raises RuntimeError with its output if it gives no verdict on some function."""
    start = time.monotonic()
    done = project.run("-m", "pytest", "bench", "--paired-against=HEAD~1")
    seconds = time.monotonic() - start
    found = verdicts(done.stdout)
    if set(found) != set(MODULES):
        raise RuntimeError(f"no verdict on some function: {found}\n{done.stdout}{done.stderr}")
    return found, seconds


def worst(found: dict[str, str]) -> str:
    """The verdict on a run, which is that of its worst function."""
    return next(verdict for verdict in ("FAIL", "INCONCLUSIVE", "PASS") if verdict in found.values())


def show(groups: Iterable[tuple[str, list[str], list[float]]]) -> None:
    """Print a table: for each group its name, its verdicts and its times."""
    table = tables.plain("commit and judged function", "runs", *OUTCOMES, "longest run")
    for name, found, seconds in groups:
        rates = verdict_rates(found)
        cells = (
            f"{rates[outcome].count} [{100 * rates[outcome].low:.0f}, {100 * rates[outcome].high:.0f}] %"
            for outcome in OUTCOMES
        )
        table.add_row(name, str(len(found)), *cells, f"{max(seconds):.0f} s")
    terminal.write("".join(f"{line}\n" for line in markdown.table(table)))


def repeat(project: ExampleProject, count: int, function: str, share: int | None) -> list[Run]:
    """Run the gate so many times, each in a new repository, and say what came out.

    The head computes this percentage of the medians again; with None, it has a comment more.
    """
    found = []
    for number in range(1, count + 1):
        project.start_anew()
        if share is None:
            project.change_nothing(function)
        else:
            project.plant(function, share)
        found.append(gate(project))
        what = "unchanged" if share is None else f"slower {function}"
        terminal.say(f"{what}, run {number} of {count}: {found[-1][0]}, {found[-1][1]:.0f} s")
    return found


def groups(planted: list[Run], unchanged: list[Run], function: str) -> Iterable[tuple[str, list[str], list[float]]]:
    """The rows of the table."""
    if planted:
        others = [worst({key: one for key, one in found.items() if key != function}) for found, _ in planted]
        seconds = [one for _, one in planted]
        yield f"slower {function}: {function}", [found[function] for found, _ in planted], seconds
        yield f"slower {function}: the worst of the others", others, seconds
    if unchanged:
        seconds = [one for _, one in unchanged]
        for key in MODULES:
            yield f"a comment: {key}", [found[key] for found, _ in unchanged], seconds
        yield "a comment: the worst of all", [worst(found) for found, _ in unchanged], seconds


def main(arguments: list[str]) -> int:
    """Measure as the command line says, and return the exit status."""
    numbers, function = arguments[:2], arguments[2] if len(arguments) == 3 else ""
    if len(arguments) != 3 or not all(one.isdigit() for one in numbers) or function not in MODULES:
        terminal.say(f"give two numbers of runs and a function ({', '.join(MODULES)}), such as: 20 40 numpy")
        return 2
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        project = ExampleProject.install(Path(folder))
        try:
            share, slowdown = calibrate(project, function)
            terminal.say(f"{share} % of the medians twice: {function} is {slowdown:.1%} slower")
            planted = repeat(project, int(numbers[0]), function, share)
            unchanged = repeat(project, int(numbers[1]), function, None)
        except RuntimeError as error:
            terminal.say(str(error))
            return 1
    show(groups(planted, unchanged, function))
    terminal.write(f"\nThe planted slowdown, measured in one process: {slowdown:.1%}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
