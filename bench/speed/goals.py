"""The cases that ``mlpbench speed`` times, and the goals for the figures."""

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
WIDE = Network((784, 512, 10), "relu", "softmax", "categorical_cross_entropy")
DEEP = Network((32, *[64] * 6, 10), "tanh")

SAMPLE_SMALL, SAMPLE = Case(SMALL, "forward", 1), Case(CLASSIFIER, "forward", 1)
BATCH_SMALL, BATCH = Case(SMALL, "forward", 1024), Case(CLASSIFIER, "forward", 1024)
DIGITS_TRAINING = Case(DIGITS, "train", 1078, epochs=20)
CIRCLES_TRAINING = Case(CIRCLES, "train", 1000, epochs=20)
XOR_TRAINING = Case(XOR, "train", 4, epochs=100, batches=1)
WIDE_BATCH, FLOAT32_TRAINING = Case(WIDE, "forward", 256), Case(CLASSIFIER, "train", 64, "float32", epochs=5)
DEEP_BATCH, DEEP_GRADIENT = Case(DEEP, "forward", 256), Case(DEEP, "gradient", 256)
SHORT_BATCH = Case(CLASSIFIER, "forward", 16)
DIGITS_BY_SAMPLE = Case(DIGITS, "train", 64, epochs=5, batches=1)


def in_float32(case: Case) -> Case:
    """Return the case in float32."""
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
    WIDE_BATCH: ("float64",),
    FLOAT32_TRAINING: ("float32",),
    DEEP_BATCH: ("float64",),
    DEEP_GRADIENT: ("float64",),
    SHORT_BATCH: ("float64",),
    DIGITS_BY_SAMPLE: ("float64",),
}
"""Arms that are timed against each other: numba_simd at a case, and the other backends in the listed dtypes."""


@dataclass(frozen=True)
class Goal:
    """A goal for the ratio of two times at a case, ``over`` ÷ ``under``.

    The ratio is to be at least ``value``, or at most ``value`` if ``at_most``. If the goal is not reached, ``note``
    says what was tried and what the profile shows.
    """

    over: str
    under: str
    case: Case
    value: float
    at_most: bool = False
    note: str = ""


CALL = (
    "The network itself takes 0.09 µs of the call. Entering compiled code takes 0.13 µs, allocating the result takes "
    "0.09 µs, and the checks and the Python call take 0.12 µs. Even an empty call, which takes 0.28 µs, would be only "
    "13 times as fast as the fastest peer. Tried and kept: packing the parameters into one array, calling the compiled "
    "code without Numba's dispatcher, and checking the arguments in a closure. Tried without a gain: aligning the rows "
    "of the weights to the vector length."
)
WEIGHTS = (
    "The kernel takes 1.3 µs, of which 0.7 µs are for reading the weights, 124 kB, from the second-level cache. Tried "
    "and kept: aligning the rows of the weights to the vector length (1.64 instead of 1.92 µs), accumulating sums in "
    "16 registers in one pass over the rows, and several partial sums per node in layers of few nodes. To reach the "
    "goal, the whole call would have to take 1.28 µs."
)
SHARE = (
    "The difference from the goal is within the variation between runs: another run on the same day gave 0.67. Tried "
    "without a gain: a tiled forward pass in training, as in forward of a batch. It took 213 instead of 190 µs per "
    "epoch, because training stores the values of a node for all samples of a block contiguously."
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
    *(
        Goal(PEER, SIMD, case, 1.0)
        for case in (WIDE_BATCH, FLOAT32_TRAINING, DEEP_BATCH, DEEP_GRADIENT, SHORT_BATCH, DIGITS_BY_SAMPLE)
    ),
    Goal(PLAIN, VECTORIZED, SAMPLE_SMALL, 1.4),
    Goal(PLAIN, VECTORIZED, SAMPLE, 1.6),
    Goal(PLAIN, VECTORIZED, DIGITS_TRAINING, 1.2),
)

ROOFLINE_SHARE = Goal("the lower bound", SIMD, DIGITS_TRAINING, 0.65, note=SHARE)

COLD_SECONDS, COLD_FORWARD_SECONDS, WARM_SECONDS = 12.0, 4.0, 0.6
"""Upper limits for a fresh process and a dtype: with an empty cache until the results of all operations, and until the
outputs of one sample; with a filled cache until the outputs of one sample."""
