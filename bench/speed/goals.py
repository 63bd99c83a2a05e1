"""What is timed for the table of speed, and the figures that are aimed at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.cases import DTYPES, Case
from impls import Network

SIMD, VECTORIZED, PLAIN = "numba_simd", "numpy_vectorized", "numpy_plain"
PEER = "the fastest peer"
C = "C"

SMALL, CLASSIFIER, DIGITS = Network((3, 3, 1)), Network((100, 100, 50, 10)), Network((64, 30, 10))
CIRCLES = Network((2, 4, 3, 1), "relu", "sigmoid", "binary_cross_entropy")
XOR = Network((2, 3, 1), "tanh", "tanh", "mean_squared_error")

SAMPLE_SMALL, SAMPLE = Case(SMALL, "forward", 1), Case(CLASSIFIER, "forward", 1)
BATCH_SMALL, BATCH = Case(SMALL, "forward", 1024), Case(CLASSIFIER, "forward", 1024)
DIGITS_TRAINING = Case(DIGITS, "train", 1078, epochs=20)
CIRCLES_TRAINING = Case(CIRCLES, "train", 1000, epochs=20)
XOR_TRAINING = Case(XOR, "train", 4, epochs=100, batches=1)


def in_float32(case: Case) -> Case:
    """The same case in float32."""
    return replace(case, dtype="float32")


GROUPS: dict[Case, tuple[str, ...]] = {
    SAMPLE_SMALL: DTYPES,
    SAMPLE: DTYPES,
    BATCH_SMALL: DTYPES,
    in_float32(BATCH_SMALL): ("float32",),
    BATCH: ("float64",),
    in_float32(BATCH): ("float32",),
    DIGITS_TRAINING: ("float64",),
    in_float32(DIGITS_TRAINING): ("float32",),
    CIRCLES_TRAINING: DTYPES,
    XOR_TRAINING: DTYPES,
}
"""What is timed against each other: numba_simd at a case, and the others at it in these dtypes."""


@dataclass(frozen=True)
class Goal:
    """A figure that is aimed at: a ratio of two times at a case, at least ``value``, or at most.

    ``note`` says, for where it is not reached, what was tried and what the profile shows.
    """

    over: str
    under: str
    case: Case
    value: float
    at_most: bool = False
    note: str = ""


CALL = (
    "Nearly all of such a call is not the network: entering compiled code takes 0.13 µs, the array that is returned "
    "0.09, the checks and the call itself 0.12, the network 0.09. An empty call, 0.28 µs, would be 13 times as fast "
    "as the fastest peer. Tried and kept: one packed array, the compiled code called past its dispatcher, the checks "
    "in a closure. Tried to no gain: a row of weights that begins a vector in memory."
)
WEIGHTS = (
    "The kernel takes 1.3 µs, of which the weights, 124 kB read from the second cache, take 0.7. Tried: rows of "
    "weights that begin a vector in memory (1.64 instead of 1.92 µs, kept), sums in 16 registers in one pass over the "
    "rows (kept), several sums for each node where there are few (kept). The goal takes 1.28 µs for the whole call."
)
SHARE = (
    "It lies within what runs differ by: 0.67 in another run on the same day. A forward pass in tiles, as for "
    "batches, was tried in training and took longer, 213 instead of 190 µs an epoch, for the samples lie side by side "
    "there."
)

RATIOS = (
    Goal(PEER, SIMD, SAMPLE_SMALL, 14, note=CALL),
    Goal(PEER, SIMD, SAMPLE, 4.5, note=WEIGHTS),
    Goal(SIMD, C, SAMPLE, 1.0, at_most=True),
    Goal(PEER, SIMD, BATCH, 1.5),
    Goal(PEER, SIMD, in_float32(BATCH), 1.05),
    Goal(PEER, SIMD, BATCH_SMALL, 2.8),
    Goal("jax_jit", SIMD, DIGITS_TRAINING, 2.3),
    Goal("jax_jit", SIMD, in_float32(DIGITS_TRAINING), 2.3),
    Goal(PEER, SIMD, CIRCLES_TRAINING, 2.8),
    Goal(PEER, SIMD, XOR_TRAINING, 1.4),
    Goal(PLAIN, VECTORIZED, SAMPLE_SMALL, 1.4),
    Goal(PLAIN, VECTORIZED, SAMPLE, 1.6),
    Goal(PLAIN, VECTORIZED, DIGITS_TRAINING, 1.2),
)

ROOFLINE_SHARE = Goal("the lower bound", SIMD, DIGITS_TRAINING, 0.65, note=SHARE)

COLD_SECONDS, WARM_SECONDS = 12.0, 0.6
"""At most: all kernels compiled for a dtype; import and first call of a fresh process, compiled before."""
