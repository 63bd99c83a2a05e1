"""Recordings of the gate at work: many sets of fresh processes of one revision, from which its rates are scored.

Every process of a set runs the same sources, so that whatever the rule finds between ``base``, ``again`` and ``head``
is a false alarm. In the head's process the same call is timed with planted delays as well.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from statistics import linear_regression, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import Case
from bench.proof.verify import expect_case
from bench.records import files
from bench.records.files import RecordError
from impls import Network
from pairbench import rounds
from pairbench.gate_protocol import Build, BurnCpu, Failure, TimeSample
from pairbench.interleave import balanced_orders
from pairbench.progress import Progress
from pairbench.rounds import BackendCase, RoundPlan, RoundProcesses
from pairbench.worker_processes import start_worker

ROW = BackendCase("numba_simd", Case(Network((100, 100, 50, 10)), "forward", 1))
PLANTED = (0.03, 0.05, 0.10, 0.20)
BLOCKS = 30
EVERY = 10
"""Sets after which the recording is written."""
NEIGHBOURS = 2


def delayed_arm(planted: float) -> str:
    """Name of the arm that is the head with a delay."""
    return f"head +{planted:.0%}"


ARMS = (*rounds.SIDES, *map(delayed_arm, PLANTED))


BARE = 0
PROBES, PROBE_LOOPS, ROUNDS, PROCESSES = (8, 16, 32, 64), 500, 40, 7
"""Of the calibration: steps of its delays, calls in a stretch, stretches of each delay, fresh processes."""


@dataclass(frozen=True)
class Calibration:
    """Calls in a stretch; steps of the planted delays."""

    loops: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Recording:
    """Seconds per call, (sets, arms, blocks) in float32, and what they were measured of and on.

    ``wall_seconds`` is what all sets took.
    """

    seconds: NDArray[np.float32]
    settings: dict[str, Any]
    calibration: Calibration | None
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
            raise ValueError("its array has times that are none")
        found, wall = about["calibration"], float(about["wall_seconds"])
        calibration = Calibration(int(found["loops"]), tuple(map(int, found["steps"])))
        if not 0 < wall < math.inf:
            raise ValueError(f"its sets took {wall} s")
        return Recording(seconds, dict(about["settings"]), calibration, wall)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # reading a damaged archive may raise anything
        raise RecordError(f"{path} is no recording of the gate: {error}") from None


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording, whole or not at all. Raises RecordError."""
    content = io.BytesIO()
    assert recording.calibration is not None
    about = {
        "settings": recording.settings,
        "calibration": asdict(recording.calibration),
        "wall_seconds": recording.wall_seconds,
    }
    np.savez_compressed(content, about=json.dumps(about), seconds=recording.seconds)
    files.write_bytes(path, content.getvalue())


def record_rounds(
    path: Path, places: Mapping[str, Path], settings: dict[str, Any], count: int, loaded: bool, progress: Progress
) -> Recording:
    """The recording in the file, with sets added until it has ``count``; with ``loaded``, beside busy neighbours.

    Raises RecordError where the file holds a recording with other settings, and Died.
    """
    recording = _begun(path, settings)
    missing = count - len(recording.seconds)
    if missing <= 0:
        return recording
    progress.start(missing)
    request = recorded_plan().request()
    random = Random()
    with busy_neighbours(places["head"]) if loaded else nullcontext():
        if (calibration := recording.calibration) is None:
            progress.stage("calibrating the planted delays")
            calibration = calibrate_delays(places["head"], request, random)
            recording = replace(recording, calibration=calibration)
        progress.stage(f"recording {missing} sets")
        for number in range(1, missing + 1):
            begun = time.monotonic()
            one = _set(places, request, calibration, random)
            recording = replace(
                recording,
                seconds=np.concatenate([recording.seconds, _rounded(one)[None]]),
                wall_seconds=recording.wall_seconds + time.monotonic() - begun,
            )
            if number % EVERY == 0 or number == missing:
                write_recording(path, recording)
            progress.advance()
    return recording


def recorded_plan() -> RoundPlan:
    """The plan of the row that is recorded."""
    return RoundPlan(ROW, expect_case(ROW.case))


def calibrate_delays(tree: Path, request: Build, random: Random) -> Calibration:
    """How many calls fill a stretch, and how many steps of the delay loop make a call slower by ``PLANTED``.

    A loop costs something to begin, whatever its length, so a line is fitted to the times of loops that have steps.
    """
    probed = [_probed(tree, request, random) for _ in range(PROCESSES)]
    bare = median(time for times in probed for time in times[BARE])
    delays = [median(_delay(times[BARE], times[length]) for times in probed) for length in PROBES]
    line = linear_regression(PROBES, delays)
    steps = (round((planted - line.intercept) / line.slope) for planted in PLANTED)
    return Calibration(round(rounds.SAMPLE_SECONDS / bare), tuple(max(1, count) for count in steps))


def _probed(tree: Path, request: Build, random: Random) -> dict[int, list[float]]:
    """Seconds per call without steps and with each of the ``PROBES``, which take turns in a fresh process."""
    times: dict[int, list[float]] = {length: [] for length in (BARE, *PROBES)}
    with rounds.open_processes({"head": tree}, random) as sides:
        for length in times:
            _asked(sides, "head", replace(request, row=str(length), steps=length), rounds.BUILD_TIMEOUT)
        sides.pin_to_one_cpu(str(BARE), random)
        for _ in range(ROUNDS):
            for length, found in times.items():
                found.append(_asked(sides, "head", TimeSample(str(length), PROBE_LOOPS), rounds.CALL_TIMEOUT))
    return times


def _delay(bare: Sequence[float], delayed: Sequence[float]) -> float:
    """The part of a call that a delay takes, from times taken in turn."""
    return median(after / before for before, after in zip(bare, delayed, strict=True)) - 1


def _set(places: Mapping[str, Path], request: Build, calibration: Calibration, random: Random) -> NDArray[np.float32]:
    """Seconds per call, (arms, blocks): the arms take turns in an order that is random and balanced."""
    steps = dict(zip(ARMS, (0, 0, 0, *calibration.steps), strict=True))
    side_of = {arm: arm.partition(" ")[0] for arm in ARMS}
    seconds = np.empty((len(ARMS), BLOCKS), np.float32)
    with rounds.open_processes(places, random) as sides:
        built = random.sample(ARMS, len(ARMS))
        for arm in built:
            sides.send(side_of[arm], replace(request, row=arm, steps=steps[arm]))
        for arm in built:
            _answer(sides.receive(arm, side_of[arm], rounds.BUILD_TIMEOUT))
        sides.pin_to_one_cpu(ARMS[0], random)
        for block, order in zip(range(BLOCKS), balanced_orders(len(ARMS), random), strict=False):
            for place in order:
                arm = ARMS[place]
                stretch = TimeSample(arm, calibration.loops)
                seconds[place, block] = _asked(sides, side_of[arm], stretch, rounds.CALL_TIMEOUT)
    return seconds


def _rounded(seconds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 12 bits, 0.02 %, of which a file takes two thirds of the space."""
    mantissa, exponent = np.frexp(seconds)
    return np.ldexp(np.round(mantissa * 4096) / 4096, exponent).astype(np.float32)


@contextmanager
def busy_neighbours(tree: Path) -> Iterator[None]:
    """Processes that are busy and do nothing else, as long as the context lasts."""
    with ExitStack() as stack:
        for _ in range(NEIGHBOURS):
            stack.enter_context(start_worker(rounds.MODULE, path=[tree])).send(BurnCpu())
        yield


def _begun(path: Path, settings: dict[str, Any]) -> Recording:
    if not path.exists():
        return Recording(np.empty((0, len(ARMS), BLOCKS), np.float32), settings, None, 0.0)
    recording = read_recording(path)
    other = [key for key in settings if recording.settings.get(key) != settings[key]]
    if other:
        raise RecordError(f"{path} was recorded with other {' and '.join(other)}; name another folder with --results")
    return recording


def _asked(sides: RoundProcesses, side: str, request: Any, silence: float) -> Any:
    return _answer(sides.ask(request.row, side, request, silence))


def _answer(reply: Any) -> Any:
    if isinstance(reply, Failure):
        raise RuntimeError(reply.reason)
    return reply
