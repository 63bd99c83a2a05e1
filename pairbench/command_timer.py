"""Times commands against each other, in blocks in balanced order; the first command runs twice, as the A/A control."""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, median, stdev

from pairbench import statistics
from pairbench.interleave import balanced_orders
from pairbench.statistics import CONFIDENCE, Interval
from pairbench.visible_text import one_line

CONTROL = "A/A"
"""Name of the arm that runs the first command a second time in each block."""
SHOWN_LINES = 10
"""Last lines of the output of a command that fails."""
FEWEST_RUNS = 10
PRECISION = 0.01
"""Half width of an interval, relative to its estimate, at which the runs end, after ``FEWEST_RUNS`` of them."""


class CommandFailed(Exception):
    """A command ended with another status than 0; ``output`` has the last lines that it wrote."""

    def __init__(self, command: Command, status: int, output: Sequence[str]):
        how = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
        super().__init__(f"the command {command.title!r} {how}")
        self.output = output


@dataclass(frozen=True)
class Command:
    """A command: words that are run directly, or a single text, which a shell runs."""

    words: tuple[str, ...]

    @property
    def title(self) -> str:
        """The command as one would type it."""
        return one_line(self.words[0] if len(self.words) == 1 else shlex.join(self.words))

    def run(self) -> float:
        """Run the command without input, and return the seconds until its end. Raises CommandFailed and OSError."""
        is_text = len(self.words) == 1
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                self.words[0] if is_text else self.words,
                shell=is_text,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that all its processes can be ended together
            )
            try:
                status = process.wait()
                seconds = time.perf_counter() - start
            except BaseException:  # such as Ctrl-C
                _kill(process)
                raise
            if status:
                output.seek(0)
                lines = output.read().decode(errors="replace").splitlines()
                raise CommandFailed(self, status, lines[-SHOWN_LINES:])
        return seconds


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


@dataclass
class CommandTimes:
    """Seconds of each run, by arm, in the order of the blocks. Unfinished blocks have no times."""

    commands: Mapping[str, Command]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seconds = {arm: [] for arm in self.arms}

    @property
    def reference(self) -> str:
        """The name of the first command."""
        return next(iter(self.commands))

    @property
    def arms(self) -> list[str]:
        """The names of the commands, and the control."""
        return [*self.commands, CONTROL]

    @property
    def runs(self) -> int:
        """The number of finished blocks."""
        return min(map(len, self.seconds.values()))

    def command_of(self, arm: str) -> Command:
        """The command of an arm."""
        return self.commands[self.reference if arm == CONTROL else arm]

    def speedup(self, arm: str) -> Interval | None:
        """Time of the first command ÷ time of this one: the median over the blocks, with its interval."""
        pairs = zip(self.seconds[self.reference], self.seconds[arm], strict=True)
        return statistics.ratio_interval([[math.log(first / other)] for first, other in pairs])

    def median(self, arm: str) -> Interval | None:
        """The median of the times, with its interval."""
        return _interval(self.seconds[arm], median, statistics.median_ends)

    def mean(self, arm: str) -> Interval | None:
        """The mean of the times, with Student's t interval."""
        return _interval(self.seconds[arm], fmean, _mean_ends)

    @property
    def is_precise(self) -> bool:
        """Whether every speedup is known to 1 %, so that more runs would tell little."""
        return all(_is_narrow(self.speedup(arm)) for arm in self.arms[1:])


def time_commands(
    times: CommandTimes, warm_ups: int, most_runs: int, budget: float, say: Callable[[str], None]
) -> None:
    """Add blocks to the times until all speedups are known to 1 %, or ``most_runs`` or the budget is reached.

    At least two blocks are measured. Raises CommandFailed, OSError and KeyboardInterrupt; the times have the finished
    blocks then.
    """
    for number in range(warm_ups):
        for command in times.commands.values():
            say(f"warm-up run {number + 1} of {warm_ups}: {command.title}")
            command.run()
    random = Random()
    start = time.monotonic()
    for runs, order in enumerate(balanced_orders(len(times.arms), random)):
        spent = time.monotonic() - start
        is_over = runs >= 2 and spent + spent / runs > budget
        if runs >= most_runs or is_over or (runs >= FEWEST_RUNS and times.is_precise):
            return
        say(f"run {runs + 1} of each command, {spent:.0f} of {budget:g} s")
        block = {times.arms[index]: times.command_of(times.arms[index]).run() for index in order}
        for arm, seconds in block.items():
            times.seconds[arm].append(seconds)


def _is_narrow(interval: Interval | None) -> bool:
    if interval is None or interval.low is None or interval.high is None:
        return False
    return interval.high - interval.low <= 2 * PRECISION * interval.estimate


def _interval(
    values: Sequence[float],
    estimate: Callable[[Sequence[float]], float],
    ends: Callable[[Sequence[float]], tuple[float, float]],
) -> Interval | None:
    if not values:
        return None
    if len(values) == 1:
        return Interval(values[0], None, None)
    low, high = ends(values)
    return Interval(estimate(values), max(0.0, low), high)  # few values have an interval that reaches below 0


def _mean_ends(values: Sequence[float]) -> tuple[float, float]:
    count = len(values)
    half = statistics.t_quantile(count - 1, (1 + CONFIDENCE) / 2) * stdev(values) / math.sqrt(count)
    return fmean(values) - half, fmean(values) + half
