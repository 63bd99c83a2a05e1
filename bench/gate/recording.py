"""Records many rounds of one revision, from which the gate's error rates are computed.

All processes of a round run the same sources, or sources that compute the same, so that every FAIL between ``base``,
``control`` and ``head`` is a false alarm. The head's process may also time the same call with planted delays.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import linear_regression, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.correctness import CaseJudge
from bench.gate.recorded_rows import RecordedRow
from bench.gate.row_plans import BackendCase, RowPlan, plan_row
from bench.proof.verify import expect_case
from bench.records import files
from bench.records.error_rate_schema import RecordingState
from bench.records.files import RecordError
from pairbench import round_processes, rounds, timer
from pairbench.forked_processes import ForkServers
from pairbench.gate_protocol import Build, BurnCpu, Failure, PrepareSample, TimeSample
from pairbench.interleave import balanced_orders
from pairbench.progress import Progress
from pairbench.round_processes import RoundProcesses
from pairbench.wording import counted, in_percent
from pairbench.workload import SamplePlan
from pairbench.worktrees import Worktree

PLANTED = (0.03, 0.05, 0.10, 0.20)
SAVE_EVERY = 10
"""Number of rounds after which a recording is saved."""
NEIGHBOURS = 2
"""Number of processes that keep CPUs busy during a loaded recording."""


def delayed_arm(planted: float) -> str:
    """Name of the arm that times the head with a planted delay."""
    return f"head +{planted:.0%}"


ARMS = (*rounds.SIDES, *map(delayed_arm, PLANTED))

NO_DELAY = 0
PROBE_STEPS, PROBE_LOOPS, PROBE_SAMPLES, PROBE_PROCESSES = (8, 16, 32, 64), 500, 40, 7
"""Settings of the calibration: lengths of the delay loops, calls per sample, samples per delay, fresh processes."""
FEW_LOOPS = 5
"""Calls per sample of the calibration without delays."""


@dataclass(frozen=True)
class Calibration:
    """Number of calls in a sample, and lengths of the delay loops for ``PLANTED``; none without delays."""

    loops: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Recording:
    """Recorded times, with the settings and the calibration of the recording.

    ``seconds`` are per call, with axes (rounds, arms, blocks), in float32. The arms are ``ARMS``, or only the sides in
    a recording without delays. ``wall_seconds``: duration of all rounds.
    """

    seconds: NDArray[np.float32]
    settings: dict[str, Any]
    calibration: Calibration
    wall_seconds: float


def read_recording(path: Path) -> Recording:
    """Read a recording. Raises RecordError."""
    try:
        content = io.BytesIO(path.read_bytes())
        with np.load(content, allow_pickle=False) as archive:
            text, seconds = str(archive["about"]), archive["seconds"]
        about = json.loads(text)
        has_arms = seconds.ndim == 3 and seconds.shape[1] in (len(rounds.SIDES), len(ARMS))
        if not has_arms or seconds.size == 0 or seconds.dtype != np.float32:
            raise ValueError(f"its array has the shape {seconds.shape}")
        if not np.all(np.isfinite(seconds) & (seconds > 0)):
            raise ValueError("its array has times that are not positive and finite")
        stored, wall_seconds = about["calibration"], float(about["wall_seconds"])
        calibration = Calibration(int(stored["loops"]), tuple(map(int, stored["steps"])))
        if not 0 < wall_seconds < math.inf:
            raise ValueError(f"its rounds took {wall_seconds} s")
        return Recording(seconds, dict(about["settings"]), calibration, wall_seconds)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # reading a damaged archive may raise anything
        raise RecordError(f"{path} is not a recording of the gate: {error}") from None


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording completely or not at all. Raises RecordError."""
    content = io.BytesIO()
    about = {
        "settings": recording.settings,
        "calibration": asdict(recording.calibration),
        "wall_seconds": recording.wall_seconds,
    }
    np.savez_compressed(content, about=json.dumps(about), seconds=recording.seconds)
    files.write_bytes(path, content.getvalue())


def state_of(recording: Recording, started: str) -> RecordingState:
    """The checkpoint of a recording, to which rounds can be added."""
    return RecordingState(
        settings=recording.settings,
        started=started,
        loops=recording.calibration.loops,
        delay_steps=list(recording.calibration.steps),
        wall_seconds=recording.wall_seconds,
        seconds=recording.seconds.astype(float).tolist(),
    )


def recording_of(state: RecordingState) -> Recording:
    """The recording in a checkpoint."""
    seconds = np.array(state.seconds, np.float32)
    return Recording(seconds, state.settings, Calibration(state.loops, tuple(state.delay_steps)), state.wall_seconds)


def record_rounds(
    state: RecordingState,
    recorded: RecordedRow,
    side_worktrees: Mapping[str, Worktree],
    libraries: Sequence[str],
    count: int,
    progress: Progress,
    save: Callable[[RecordingState], None],
) -> RecordingState:
    """Add rounds until there are ``count``. The ``libraries`` are those of a trial round.

    ``save`` is called with the state after every ``SAVE_EVERY`` rounds. Raises ProcessDied, and RuntimeError if a
    request fails.
    """
    missing = count - len(state.seconds)
    if missing <= 0:
        return state
    progress.start(missing)
    plan = recorded_plan(recorded.row)
    request = Build(plan.key, plan.workload)
    random = Random()
    neighbours = busy_neighbours(side_worktrees["head"]) if recorded.loaded else nullcontext()
    with neighbours, round_processes.fork_servers(side_worktrees, libraries) as servers:
        if not state.loops:
            progress.stage("calibrating the planted delays")
            calibrate = calibrate_delays if recorded.has_delays else calibrate_loops
            calibration = calibrate(side_worktrees["head"], request, random)
            state = state.model_copy(update={"loops": calibration.loops, "delay_steps": list(calibration.steps)})
        calibration = Calibration(state.loops, tuple(state.delay_steps))
        progress.stage(f"recording {counted(missing, 'round')}")
        for number in range(1, missing + 1):
            start = time.monotonic()
            times = _record_round(side_worktrees, servers, request, calibration, recorded.blocks, random)
            seconds = _round_mantissa(times)
            wall_seconds = state.wall_seconds + time.monotonic() - start
            state = state.model_copy(
                update={"seconds": [*state.seconds, seconds.astype(float).tolist()], "wall_seconds": wall_seconds}
            )
            if number % SAVE_EVERY == 0 or number == missing:
                save(state)
            progress.advance()
    return state


def recorded_plan(row: BackendCase) -> RowPlan:
    """The plan of a row that is recorded."""
    return plan_row(row, CaseJudge(row.case, expect_case(row.case)))


def calibrate_loops(worktree: Worktree, request: Build, random: Random) -> Calibration:
    """Find the number of calls in a sample, for a recording without delays."""
    times = _probe_delays(worktree, request, random, lengths=(), loops=FEW_LOOPS)[NO_DELAY]
    return Calibration(timer.loops_per_sample(median(times)), ())


def calibrate_delays(worktree: Worktree, request: Build, random: Random) -> Calibration:
    """Find the number of calls in a sample, and the lengths of the delay loops that slow a call by ``PLANTED``.

    Starting a loop takes time whatever its length, so a line with an intercept is fitted to the delays of the probes.
    Raises RuntimeError if the probes do not tell the delays apart.
    """
    probes = [_probe_delays(worktree, request, random, PROBE_STEPS, PROBE_LOOPS) for _ in range(PROBE_PROCESSES)]
    undelayed = median(time for times in probes for time in times[NO_DELAY])
    delays = [median(_relative_delay(times[NO_DELAY], times[length]) for times in probes) for length in PROBE_STEPS]
    line = linear_regression(PROBE_STEPS, delays)
    lengths = ((planted - line.intercept) / line.slope for planted in PLANTED if line.slope > 0)
    steps = tuple(max(1, round(length)) for length in lengths)
    if len(set(steps)) < len(PLANTED):
        raise RuntimeError(
            f"the delays cannot be calibrated on a machine this busy: a loop of {PROBE_STEPS[-1]} steps "
            f"slows a call by {in_percent(delays[-1], 1)}, one of {PROBE_STEPS[0]} by {in_percent(delays[0], 1)}"
        )
    return Calibration(timer.loops_per_sample(undelayed), steps)


def _probe_delays(
    worktree: Worktree, request: Build, random: Random, lengths: Sequence[int], loops: int
) -> dict[int, list[float]]:
    """Seconds per call, without delay and with each of the lengths, sampled in turn in a fresh process."""
    times: dict[int, list[float]] = {length: [] for length in (NO_DELAY, *lengths)}
    with round_processes.open_processes({"head": worktree}, random) as processes:
        for length in times:
            build = Build(str(length), request.workload, length)
            _ask(processes, "head", build.row, build, rounds.BUILD_TIMEOUT)
        processes.pin_to_one_cpu(random)
        for _ in range(PROBE_SAMPLES):
            for length, samples in times.items():
                sample = SamplePlan(random.getrandbits(63), loops)
                samples.append(_time_sample(processes, "head", str(length), sample))
    return times


def _time_sample(processes: RoundProcesses, side: str, row: str, sample: SamplePlan) -> float:
    """Seconds per call of a sample."""
    _ask(processes, side, row, PrepareSample(row, sample), rounds.CALL_TIMEOUT)
    return float(_ask(processes, side, row, TimeSample(), rounds.CALL_TIMEOUT).seconds)


def _relative_delay(undelayed: Sequence[float], delayed: Sequence[float]) -> float:
    """The relative slowdown by a delay, from samples without and with the delay that were taken in turn."""
    return median(after / before for before, after in zip(undelayed, delayed, strict=True)) - 1


def _record_round(
    side_worktrees: Mapping[str, Worktree],
    servers: ForkServers,
    request: Build,
    calibration: Calibration,
    blocks: int,
    random: Random,
) -> NDArray[np.float32]:
    """Seconds per call, with axes (arms, blocks). The arms are timed in turn, in random and balanced order."""
    arms = ARMS[: len(rounds.SIDES) + len(calibration.steps)]
    steps = dict(zip(arms, (0, 0, 0, *calibration.steps), strict=True))
    side_of = {arm: arm.partition(" ")[0] for arm in arms}
    seconds = np.empty((len(arms), blocks), np.float32)
    with round_processes.open_processes(side_worktrees, random, servers) as processes:
        servers.start_next()
        for arm in random.sample(arms, len(arms)):
            # On every side, so that no process does more than another before the timing.
            build = Build(arm, request.workload, steps[arm])
            for reply in processes.ask_all(arm, dict.fromkeys(processes, build), rounds.BUILD_TIMEOUT).values():
                _require_success(reply)
        servers.await_next()
        processes.pin_to_one_cpu(random)
        for block, order in zip(range(blocks), balanced_orders(len(arms), random), strict=False):
            for index in order:
                arm = arms[index]
                sample = SamplePlan(random.getrandbits(63), calibration.loops)
                seconds[index, block] = _time_sample(processes, side_of[arm], arm, sample)
    return seconds


def _round_mantissa(seconds: NDArray[np.float32]) -> NDArray[np.float32]:
    """The times rounded to 12 bits of mantissa, an error of 0.02 %, so that the compressed file is a third smaller."""
    mantissa, exponent = np.frexp(seconds)
    return np.ldexp(np.round(mantissa * 4096) / 4096, exponent).astype(np.float32)


@contextmanager
def busy_neighbours(worktree: Worktree) -> Iterator[None]:
    """Run ``NEIGHBOURS`` processes that keep CPUs busy until the context ends."""
    with ExitStack() as stack:
        for _ in range(NEIGHBOURS):
            stack.enter_context(worktree.start()).send(BurnCpu())
        yield


def _ask(processes: RoundProcesses, side: str, row: str, request: object, timeout: float) -> Any:
    return _require_success(processes.ask(row, side, request, timeout))


def _require_success(reply: Any) -> Any:
    if isinstance(reply, Failure):
        raise RuntimeError(reply.reason)
    return reply
