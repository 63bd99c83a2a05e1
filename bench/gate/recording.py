"""Recordings of the gate at work: many rounds of one revision, from which its error rates are computed.

Every process of a round runs the same sources, so that whatever the test finds between ``base``, ``control`` and
``head`` is a false alarm. In the head's process the same call is timed with planted delays as well.
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

from bench.cases import Case
from bench.gate.rows import BackendCase, RowPlan, plan_row
from bench.proof.verify import expect_case
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import RecordingState
from impls import Network
from pairbench import rounds, timer
from pairbench.gate_protocol import Build, BurnCpu, Failure, TimeSample
from pairbench.interleave import balanced_orders
from pairbench.progress import Progress
from pairbench.rounds import RoundProcesses
from pairbench.worker_processes import start_worker
from pairbench.worktrees import Worktree

ROW = BackendCase("numba_simd", Case(Network((100, 100, 50, 10)), "forward", 1))
PLANTED = (0.03, 0.05, 0.10, 0.20)
BLOCKS = 30
SAVE_EVERY = 10
"""Rounds after which a recording is saved."""
NEIGHBOURS = 2
"""Busy processes beside a loaded recording."""


def delayed_arm(planted: float) -> str:
    """Name of the arm that is the head with a delay."""
    return f"head +{planted:.0%}"


ARMS = (*rounds.SIDES, *map(delayed_arm, PLANTED))

NO_DELAY = 0
PROBE_STEPS, PROBE_LOOPS, PROBE_SAMPLES, PROBE_PROCESSES = (8, 16, 32, 64), 500, 40, 7
"""Of the calibration: steps of its delays, calls in a sample, samples of each delay, fresh processes."""


@dataclass(frozen=True)
class Calibration:
    """Calls in a sample; steps of the planted delays."""

    loops: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Recording:
    """Seconds per call, (rounds, arms, blocks) in float32, and what they were measured of and on.

    ``wall_seconds`` is what all rounds took.
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
        if len(seconds) == 0 or seconds.shape[1:] != (len(ARMS), BLOCKS) or seconds.dtype != np.float32:
            raise ValueError(f"its array has the shape {seconds.shape}")
        if not np.all(np.isfinite(seconds) & (seconds > 0)):
            raise ValueError("its array has times that are not positive and finite")
        found, wall = about["calibration"], float(about["wall_seconds"])
        calibration = Calibration(int(found["loops"]), tuple(map(int, found["steps"])))
        if not 0 < wall < math.inf:
            raise ValueError(f"its rounds took {wall} s")
        return Recording(seconds, dict(about["settings"]), calibration, wall)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # reading a damaged archive may raise anything
        raise RecordError(f"{path} is no recording of the gate: {error}") from None


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording, whole or not at all. Raises RecordError."""
    content = io.BytesIO()
    about = {
        "settings": recording.settings,
        "calibration": asdict(recording.calibration),
        "wall_seconds": recording.wall_seconds,
    }
    np.savez_compressed(content, about=json.dumps(about), seconds=recording.seconds)
    files.write_bytes(path, content.getvalue())


def state_of(recording: Recording, started: str) -> RecordingState:
    """A recording as a state to which rounds can be added."""
    return RecordingState(
        settings=recording.settings,
        started=started,
        loops=recording.calibration.loops,
        delay_steps=list(recording.calibration.steps),
        wall_seconds=recording.wall_seconds,
        seconds=recording.seconds.astype(float).tolist(),
    )


def recording_of(state: RecordingState) -> Recording:
    """The recording that a state holds."""
    seconds = np.array(state.seconds, np.float32).reshape(-1, len(ARMS), BLOCKS)
    return Recording(seconds, state.settings, Calibration(state.loops, tuple(state.delay_steps)), state.wall_seconds)


def record_rounds(
    state: RecordingState,
    places: Mapping[str, Worktree],
    count: int,
    loaded: bool,
    progress: Progress,
    save: Callable[[RecordingState], None],
) -> RecordingState:
    """Add rounds until there are ``count``; with ``loaded``, beside busy neighbours. ``save`` gets states in between.

    Raises ProcessDied, and RuntimeError where a request fails.
    """
    missing = count - len(state.seconds)
    if missing <= 0:
        return state
    progress.start(missing)
    plan = recorded_plan()
    request = Build(plan.key, plan.workload)
    random = Random()
    with busy_neighbours(places["head"]) if loaded else nullcontext():
        if not state.loops:
            progress.stage("calibrating the planted delays")
            calibration = calibrate_delays(places["head"], request, random)
            state = state.model_copy(update={"loops": calibration.loops, "delay_steps": list(calibration.steps)})
        calibration = Calibration(state.loops, tuple(state.delay_steps))
        progress.stage(f"recording {missing} rounds")
        for number in range(1, missing + 1):
            begun = time.monotonic()
            seconds = _rounded(_recorded_round(places, request, calibration, random))
            wall_seconds = state.wall_seconds + time.monotonic() - begun
            state = state.model_copy(
                update={"seconds": [*state.seconds, seconds.astype(float).tolist()], "wall_seconds": wall_seconds}
            )
            if number % SAVE_EVERY == 0 or number == missing:
                save(state)
            progress.advance()
    return state


def recorded_plan() -> RowPlan:
    """The plan of the row that is recorded."""
    return plan_row(ROW, expect_case(ROW.case))


def calibrate_delays(worktree: Worktree, request: Build, random: Random) -> Calibration:
    """How many calls make a sample, and how many steps of the delay loop make a call slower by ``PLANTED``.

    A loop costs something to begin, whatever its length. So a line is fitted to the times of loops that have steps.
    """
    probed = [_probe_delays(worktree, request, random) for _ in range(PROBE_PROCESSES)]
    bare = median(time for times in probed for time in times[NO_DELAY])
    delays = [median(_delay(times[NO_DELAY], times[length]) for times in probed) for length in PROBE_STEPS]
    line = linear_regression(PROBE_STEPS, delays)
    steps = (round((planted - line.intercept) / line.slope) for planted in PLANTED)
    return Calibration(timer.loops_per_sample(bare), tuple(max(1, count) for count in steps))


def _probe_delays(worktree: Worktree, request: Build, random: Random) -> dict[int, list[float]]:
    """Seconds per call without delay and with each of the ``PROBE_STEPS``, which take turns in a fresh process."""
    times: dict[int, list[float]] = {length: [] for length in (NO_DELAY, *PROBE_STEPS)}
    with rounds.open_processes({"head": worktree}, random) as processes:
        for length in times:
            build = Build(str(length), request.workload, length)
            _asked(processes, "head", build, rounds.BUILD_TIMEOUT)
        processes.pin_to_one_cpu(str(NO_DELAY), random)
        for _ in range(PROBE_SAMPLES):
            for length, found in times.items():
                found.append(_asked(processes, "head", TimeSample(str(length), PROBE_LOOPS), rounds.CALL_TIMEOUT))
    return times


def _delay(bare: Sequence[float], delayed: Sequence[float]) -> float:
    """The part of a call that a delay takes, from times taken in turn."""
    return median(after / before for before, after in zip(bare, delayed, strict=True)) - 1


def _recorded_round(
    places: Mapping[str, Worktree], request: Build, calibration: Calibration, random: Random
) -> NDArray[np.float32]:
    """Seconds per call, (arms, blocks): the arms take turns in an order that is random and balanced."""
    steps = dict(zip(ARMS, (0, 0, 0, *calibration.steps), strict=True))
    side_of = {arm: arm.partition(" ")[0] for arm in ARMS}
    seconds = np.empty((len(ARMS), BLOCKS), np.float32)
    with rounds.open_processes(places, random) as processes:
        built = random.sample(ARMS, len(ARMS))
        for arm in built:
            processes.send(side_of[arm], Build(arm, request.workload, steps[arm]))
        for arm in built:
            _checked(processes.receive(arm, side_of[arm], rounds.BUILD_TIMEOUT))
        processes.pin_to_one_cpu(ARMS[0], random)
        for block, order in zip(range(BLOCKS), balanced_orders(len(ARMS), random), strict=False):
            for place in order:
                arm = ARMS[place]
                sample = TimeSample(arm, calibration.loops)
                seconds[place, block] = _asked(processes, side_of[arm], sample, rounds.CALL_TIMEOUT)
    return seconds


def _rounded(seconds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 12 bits, 0.02 %, with which a file takes two thirds of the space."""
    mantissa, exponent = np.frexp(seconds)
    return np.ldexp(np.round(mantissa * 4096) / 4096, exponent).astype(np.float32)


@contextmanager
def busy_neighbours(worktree: Worktree) -> Iterator[None]:
    """Processes that keep CPUs busy and do nothing else, as long as the context lasts."""
    with ExitStack() as stack:
        for _ in range(NEIGHBOURS):
            worker = start_worker(rounds.MODULE, worktree.package, path=[worktree.path])
            stack.enter_context(worker).send(BurnCpu())
        yield


def _asked(processes: RoundProcesses, side: str, request: Build | TimeSample, timeout: float) -> Any:
    return _checked(processes.ask(request.row, side, request, timeout))


def _checked(reply: Any) -> Any:
    if isinstance(reply, Failure):
        raise RuntimeError(reply.reason)
    return reply
