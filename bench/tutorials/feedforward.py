"""The feedforward tutorial: loops timed against matrices, and a digit classifier trained on full batches."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from bench.tutorials import datasets, quartic
from bench.tutorials.programs import (
    Computation,
    Figure,
    PrintedTime,
    Program,
    RunsBySeed,
    Setting,
    TrainingRun,
    Tutorial,
)
from impls import Array, Model, Network

EXAMPLE = Network((3, 3, 1))
SAMPLE = [1.5, 2.0, 3.0]
LAYERS = [(np.array([[0.2, 0.4, 0.6]] * 3), np.full(3, 0.8)), (np.full((3, 1), 0.5), np.array([0.2]))]

DIGITS = Network((64, 30, 10))
ITERATIONS = 3000
TRAINING = f"digits, 64-30-10, {ITERATIONS} full-batch iterations"
REWRITE = "a vectorized rewrite"
CURVES = {
    0: ("2.824934", "0.423539", "0.8901"),
    1: ("2.825355", "0.429661", "0.8734"),
    2: ("2.847838", "0.403978", "0.8734"),
    3: ("2.824627", "0.437045", "0.8734"),
    4: ("2.834069", "0.459163", "0.8776"),
}
"""By seed, the first and the last cost and the accuracy, from a rewrite, because the tutorial states no seed."""
SPREAD = range(11)
STOPS = sorted({*range(30), *range(30, ITERATIONS, 30), ITERATIONS - 1})

FIRST_IMAGE = (
    "0 0 5 13 9 1 0 0 0 0 13 15 10 15 5 0 0 3 15 2 0 11 8 0 0 4 12 0 0 8 8 0 "
    "0 5 8 0 0 9 8 0 0 4 11 0 1 12 7 0 0 2 14 5 10 12 0 0 0 0 6 13 10 0 0 0"
)
FIRST_STANDARDIZED = (
    "0.00000000 -0.33501649 -0.04308102 0.27407152 -0.66447751 -0.84412939 -0.40972392 -0.12502292 "
    "-0.05907756 -0.62400926 0.48297450 0.75962245 -0.05842586 1.12772113 0.87958306 -0.13043338 "
    "-0.04462507 0.11144272 0.89588044 -0.86066632 -1.14964846 0.51547187 1.90596347 -0.11422184 "
    "-0.03337973 0.48648928 0.46988512 -1.49990136 -1.61406277 0.07639777 1.54181413 -0.04723238 "
    "0.00000000 0.76465553 0.05263019 -1.44763006 -1.73666443 0.04361588 1.43955804 0.00000000 "
    "-0.06134367 0.81055360 0.63011714 -1.12245711 -1.06623158 0.66096475 0.81845076 -0.08874162 "
    "-0.03543326 0.74211893 1.15065212 -0.86867056 0.11012973 0.53761116 -0.75743581 -0.20978513 "
    "-0.02359646 -0.29908135 0.08671869 0.20829258 -0.36677122 -1.14664746 -0.50566980 -0.19600752"
)


def example(seed: int) -> Setting:
    """Return the setting of the forward example."""
    return Setting(EXAMPLE, LAYERS, np.array([SAMPLE]), np.zeros((1, 1)))


def hidden(seed: int) -> Setting:
    """Return the forward example's first layer as a network, whose outputs are the outputs of the hidden layer."""
    return Setting(Network((3, 3)), LAYERS[:1], np.array([SAMPLE]), np.zeros((1, 3)))


def digits(seed: int) -> Setting:
    """Return the setting of the digit classifier.

    The seed determines the split of the data, and the weights and biases, drawn with the weights as (n_out, n_in).
    """
    split = datasets.split_digits(seed)
    draw = np.random.RandomState(seed).random_sample

    def curve(outputs: Array) -> float:
        """The cost that the tutorial plots: the mean norm of the samples' errors, without squaring the norm."""
        return float(np.linalg.norm(split.Y - outputs, axis=1).mean())

    return Setting(
        DIGITS,
        [(draw((n_out, n_in)).T, draw(n_out)) for n_in, n_out in DIGITS.shapes],
        split.X,
        split.Y,
        ITERATIONS,
        learning_rate=0.25,
        watch=curve,
        stops=STOPS,
    )


def accuracy(model: Model, seed: int) -> float:
    """Return the share of the test images whose highest output is that of their digit."""
    split = datasets.split_digits(seed)
    return float(np.mean(model.forward(split.X_test).argmax(axis=1) == split.classes_test))


def _last(run: TrainingRun) -> float:
    return run.watched[ITERATIONS - 1]


def _curve(seed: int, first: str, last: str, share: str) -> tuple[Figure, ...]:
    seeds, title = (seed,), f"seed {seed}: "
    return (
        Figure(title + "first cost", first, lambda runs: runs[seed].watched[0], source=REWRITE, seeds=seeds, epochs=1),
        Figure(title + "last cost", last, lambda runs: _last(runs[seed]), source=REWRITE, seeds=seeds),
        Figure(title + "accuracy", share, lambda runs: accuracy(runs[seed].model, seed), source=REWRITE, seeds=seeds),
    )


def _accuracies(runs: RunsBySeed) -> list[float]:
    return [100 * accuracy(runs[seed].model, seed) for seed in SPREAD]


def _spread(runs: RunsBySeed) -> str:
    shares = sorted(_accuracies(runs))
    return (
        f"The tutorial prints an accuracy of 86 % and states no seed. Seeds 0 to {SPREAD[-1]} give {shares[0]:.1f} to "
        f"{shares[-1]:.1f} %. The printed figure is below all of these, so none of these seeds reproduces it."
    )


def _data() -> SimpleNamespace:
    images, classes = datasets.load_digits_data()
    return SimpleNamespace(images=images, standardized=datasets.standardized_digits(), one=datasets.one_hot(classes)[1])


TUTORIAL = Tutorial(
    key="feedforward",
    title="loops against matrices, and a classifier of digits (Ukrainian)",
    parts=[
        Program(
            "forward example, 3-3-1: hidden layer",
            hidden,
            [
                Figure(
                    "outputs, truncated",
                    "0.8909 0.9677 0.9909",
                    lambda runs: runs[0].model.forward(SAMPLE),
                    "truncated",
                )
            ],
        ),
        Program(
            "forward example, 3-3-1",
            example,
            [Figure("output, truncated", "0.8354", lambda runs: runs[0].model.forward(SAMPLE), "truncated")],
        ),
        quartic.COMPUTATION,
        Computation(
            "digits: the data",
            _data,
            [
                Figure("shape", "1797 64", lambda data: data.images.shape, "exact"),
                Figure("first image", FIRST_IMAGE, lambda data: data.images[0], "exact"),
                Figure("first image, standardized", FIRST_STANDARDIZED, lambda data: data.standardized[0]),
                Figure("target of a 1", "0 1 0 0 0 0 0 0 0 0", lambda data: data.one, "exact"),
            ],
        ),
        Program(
            TRAINING,
            digits,
            [
                *(figure for seed, printed in CURVES.items() for figure in _curve(seed, *printed)),
                Figure("accuracy, %: below all seeds", "86", _accuracies, "below all", seeds=SPREAD),
            ],
            seeds=SPREAD,
            seconds=20.0,
            printed_time="several minutes",
            remark=_spread,
        ),
    ],
    times=[
        PrintedTime(Network((3, 3, 1)), loops=40e-6, matrix=None, speedup=None),
        PrintedTime(Network((3, 3, 3, 1)), loops=70e-6, matrix=46e-6, speedup=1.5),
        PrintedTime(Network((100, 100, 50, 10)), loops=41e-3, matrix=84e-6, speedup=488),
    ],
    explanation=[
        "The tutorial's loops index NumPy arrays, as python_loops_ndarray does; its matrix form is that of "
        "numpy_plain. Its times are from a machine of about 2017. The tutorial does not state the sizes of its "
        "four-layer network; mlpbench uses 3-3-3-1.",
        "The cost of the digits is the mean norm of the error. It is not the loss that training minimizes, and is "
        "computed from the outputs of forward.",
    ],
)
