"""The XOR tutorial: a network of tanh layers learns XOR, with one update per sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.tutorials.datasets import locked
from bench.tutorials.programs import Computation, Figure, Program, RunsBySeed, Setting, TrainingRun, Tutorial
from impls import Network

NETWORK = Network((2, 3, 1), hidden="tanh", output="tanh", loss="mean_squared_error")
X = locked(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
Y = locked(np.array([[0.0], [1.0], [1.0], [0.0]]))
TRAINING = "training, 1000 epochs of four updates"
SEEDS = range(60)
SEED = 22
STUCK = 8
LEARNT = 0.0005
SENSITIVE = (7, 14, 26, 36, 45, 47, 49, 51)
"""Seeds that are sensitive to rounding: changes of the initial weights by 1 ulp visibly change the training."""
UNDECIDED = (7, 45, 51)
"""The sensitive seeds whose final error may be below or above LEARNT, depending on rounding."""
REWRITE = "an independent rewrite"


def xor_setting(seed: int) -> Setting:
    """Return the setting. The seed determines the initial W and b, drawn layer by layer with W as (n_out, n_in)."""
    draw = np.random.RandomState(seed).randn
    parameters = [(draw(n_out, n_in).T, draw(n_out)) for n_in, n_out in NETWORK.shapes]
    return Setting(NETWORK, parameters, X, Y, epochs=1000, learning_rate=0.1, batches=1)


def error(run: TrainingRun) -> float:
    """Return the loss of the last epoch, the mean over the four samples."""
    return run.losses[-1]


def output(run: TrainingRun) -> float:
    """Return the output for (1, 0), mapped from [-1, 1] to [0, 1]."""
    return float((run.model.forward([1.0, 0.0])[0] + 1) / 2)


def confidence(run: TrainingRun) -> float:
    """Return the confidence in the prediction for (1, 0), in per cent."""
    return 100 * max(output(run), 1 - output(run))


def _learnt(runs: RunsBySeed, seeds: Iterable[int]) -> int:
    return sum(error(runs[seed]) < LEARNT for seed in seeds)


def _spread(runs: RunsBySeed) -> str:
    confident = sum(output(run) >= 0.5 and round(confidence(run), 1) >= 99.2 for run in runs.values())
    return (
        f"The tutorial states no seed. Of seeds 0 to 59, {confident} predict 1 for (1, 0) with a confidence of at "
        f"least 99.2 %, and {_learnt(runs, SEEDS)} end with an error below {LEARNT} on numpy_vectorized; {REWRITE} "
        f"found 48. Seeds {_listed(SENSITIVE)} are sensitive to rounding: a change of the initial weights by one unit "
        "in the last place changes the whole training. Correct backends therefore differ at these seeds, and are not "
        f"compared there. Five of the sensitive seeds end below {LEARNT} on every backend. Seeds "
        f"{_listed(UNDECIDED)} end below or above {LEARNT}, depending on the backend. Without these three, 47 seeds "
        f"end below {LEARNT} on every backend. Arithmetic with 60 digits decides all three seeds, and gives 49 seeds "
        "in total."
    )


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _parameters() -> tuple[int, int]:
    shapes = Network((5, 4, 4, 4, 1)).shapes
    return sum(n_in * n_out for n_in, n_out in shapes), sum(n_out for _, n_out in shapes)


TUTORIAL = Tutorial(
    key="xor",
    title="layer objects; a tanh network learns XOR (Hebrew)",
    parts=[
        Computation(
            "the notation's example, 5-4-4-4-1",
            _parameters,
            [
                Figure("weights and biases", "56 13", lambda counts: counts, "exact"),
                Figure("parameters", "69", sum, "exact"),
            ],
        ),
        Program(
            TRAINING,
            xor_setting,
            [
                Figure("prediction for (1, 0)", "1", lambda runs: round(output(runs[SEED])), "exact", seeds=(SEED,)),
                Figure("confidence, %", "99.2", lambda runs: confidence(runs[SEED]), seeds=(SEED,)),
                Figure("error of the last epoch", "0.0002", lambda runs: error(runs[SEED]), seeds=(SEED,)),
                Figure(
                    "confidence, % (more digits)",
                    "99.2183",
                    lambda runs: confidence(runs[SEED]),
                    source=REWRITE,
                    seeds=(SEED,),
                ),
                Figure(
                    "error (more digits)", "0.000222", lambda runs: error(runs[SEED]), source=REWRITE, seeds=(SEED,)
                ),
                Figure(
                    "seed 8 is stuck: error", "0.18", lambda runs: error(runs[STUCK]), source=REWRITE, seeds=(STUCK,)
                ),
                Figure(
                    f"seeds with an error below {LEARNT}, of 0 to 59 without {_listed(UNDECIDED)}",
                    "47",
                    lambda runs: _learnt(runs, set(SEEDS) - set(UNDECIDED)),
                    "exact",
                    source=REWRITE,
                    seeds=SEEDS,
                ),
            ],
            seeds=SEEDS,
            few=(SEED, STUCK, *range(7), 9),
            sensitive=SENSITIVE,
            remark=_spread,
        ),
    ],
    explanation=["The figures are those of seed 22. The parameters are drawn in the tutorial's order and orientation."],
)
