"""The circles tutorial: a ReLU network separates two circles. Two copies print its trace, one with comments."""

from __future__ import annotations

import numpy as np

from bench.tutorials import datasets
from bench.tutorials.programs import Figure, Program, Setting, Tutorial
from impls import Array, Network

NETWORK = Network((2, 4, 3, 1), hidden="relu", output="sigmoid", loss="binary_cross_entropy")
EPOCHS = 150
TRAINING = f"training, {EPOCHS} full-batch epochs"
SEED = 42
TRACE = {
    0: ("693.62972747", "0.5"),
    1: ("693.62166655", "0.5"),
    2: ("693.61534159", "0.5"),
    3: ("693.60994018", "0.5"),
    145: ("664.60120828", "0.818"),
    146: ("697.97739669", "0.58"),
    147: ("681.08653776", "0.642"),
    148: ("665.06165774", "0.71"),
    149: ("683.61702980", "0.614"),
}
"""By iteration, the printed loss and accuracy before the update of the iteration."""


def accuracy(outputs: Array) -> float:
    """Return the share of the points whose output is on the correct side of 0.5."""
    _, Y = datasets.circles()
    return float(np.mean((outputs > 0.5) == Y))


def circles_setting(seed: int) -> Setting:
    """Return the setting. The seed determines the initial parameters."""
    draw = np.random.RandomState(seed).randn
    X, Y = datasets.circles()
    return Setting(
        NETWORK,
        [(draw(n_in, n_out) * 0.1, draw(n_out) * 0.1) for n_in, n_out in NETWORK.shapes],
        X,
        Y,
        EPOCHS,
        learning_rate=0.01,
        bias_learning_rate=0.00001,
        reduction="sum",
        watch=accuracy,
        stops=range(EPOCHS),
    )


def _trace(iteration: int, loss: str, share: str) -> tuple[Figure, Figure]:
    title = f"iteration {iteration}"
    return (
        Figure(f"{title}: loss", loss, lambda runs: runs[SEED].losses[iteration], seeds=(SEED,)),
        Figure(f"{title}: accuracy", share, lambda runs: runs[SEED].watched[iteration], "exact", seeds=(SEED,)),
    )


TUTORIAL = Tutorial(
    key="circles",
    title="a ReLU network tells two circles apart (Mongolian, and in English)",
    parts=[
        Program(
            TRAINING,
            circles_setting,
            [figure for iteration, row in TRACE.items() for figure in _trace(iteration, *row)],
            seeds=(SEED,),
            few=(SEED,),
        )
    ],
    explanation=[
        'The rate called "0.005" is 0.01 for weights and 0.00001 for biases. The tutorial writes the derivative of the '
        "sigmoid as 2s(1 - s), which is twice the correct value. Only the last layer is a sigmoid, so this doubles "
        "all gradients, and the rate is in effect 0.01. The tutorial sums the gradient of a weight over the 1000 "
        "samples, but averages that of a bias, so the rate of the biases is 0.01 / 1000. With these two rates, the "
        "correct gradient of the summed loss reproduces every row.",
        "The loss is summed over the samples. Each figure is computed before the update of its iteration, so the "
        "figures printed before the training are those of iteration 0. One of the two copies draws its data without a "
        "seed, so its figures cannot be reproduced.",
    ],
)
