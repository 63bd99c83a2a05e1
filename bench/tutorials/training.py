"""The training loop of all tutorials: trains a backend's model according to a setting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from time import perf_counter

import numpy as np

from bench.tutorials.programs import Setting, TrainingRun
from impls import Backend


def carry_out(setting: Setting, backend: Backend, seconds: float = math.inf) -> TrainingRun:
    """Build a model and train it. At each stop, before the next epoch, compute ``watch`` from the outputs.

    The epochs up to the first stop are always trained. The epochs up to a later stop are trained only if, at the speed
    so far, they end within ``seconds``.
    """
    run = TrainingRun(setting, backend.build(setting.network, setting.parameters))
    began = perf_counter()
    for start, stop in _epoch_ranges(setting):
        if start and (perf_counter() - began) / start * stop > seconds:
            break
        if setting.watch is not None and start in setting.stops:
            run.watched[start] = setting.watch(run.model.forward(setting.X))
        before = perf_counter()
        losses = run.model.train(
            setting.X,
            setting.Y,
            epochs=stop - start,
            learning_rate=setting.learning_rate,
            bias_learning_rate=setting.bias_learning_rate,
            batches=setting.batches[start] if isinstance(setting.batches, np.ndarray) else setting.batches,
            reduction=setting.reduction,
        )
        run.seconds += perf_counter() - before
        run.losses.extend(losses.tolist())
    return run


def difference(run: TrainingRun, other: TrainingRun) -> float:
    """Return the largest relative difference between two runs of a setting, or infinity if a number is not finite.

    Compared are the losses and the watched values of the epochs that both runs trained. If both trained equally many
    epochs, their parameters are compared as well, relative to the largest parameter of each array.
    """
    pairs = [*zip(run.losses, other.losses, strict=False)]
    pairs += [(run.watched[stop], other.watched[stop]) for stop in run.watched.keys() & other.watched.keys()]
    values, other_values = np.array(pairs).reshape(-1, 2).T
    scale = np.maximum(np.abs(values), np.abs(other_values))
    with np.errstate(invalid="ignore"):
        worst = np.max(np.abs(values - other_values) / np.where(scale == 0, 1, scale), initial=0)
        if len(run.losses) == len(other.losses):
            for layer, other_layer in zip(run.model.parameters(), other.model.parameters(), strict=True):
                for array, other_array in zip(layer, other_layer, strict=True):
                    worst = max(worst, np.max(np.abs(array - other_array)) / (np.max(np.abs(other_array)) or 1))
    return float(worst) if np.isfinite(worst) else math.inf


def _epoch_ranges(setting: Setting) -> Iterator[tuple[int, int]]:
    """The range of epochs of each call of ``train``: from stop to stop, or one epoch if every epoch has own batches."""
    own_batches = isinstance(setting.batches, np.ndarray)
    bounds = sorted({0, setting.epochs, *(range(setting.epochs) if own_batches else setting.stops)})
    return pairwise(bounds)
