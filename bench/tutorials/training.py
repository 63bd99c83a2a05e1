"""Trains a backend's model as a setting says: the one training loop of all documents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from time import perf_counter

import numpy as np

from bench.tutorials.programs import Setting, TrainingRun
from impls import Backend


def carry_out(setting: Setting, backend: Backend, seconds: float = math.inf) -> TrainingRun:
    """Build a model and train it; at each stop, ``watch`` sees the outputs before the next epoch.

    The first stretch, up to the first stop, is always trained; a further one if by experience it fits into the seconds.
    """
    run = TrainingRun(setting, backend.build(setting.network, setting.parameters))
    began = perf_counter()
    for start, stop in _stretches(setting):
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
    """Worst relative difference of two runs of a setting: of the losses and what was watched, as far as both went, and
    of the parameters, relative to the largest of each array, if both went equally far.

    Infinity where a number is not finite.
    """
    pairs = [*zip(run.losses, other.losses, strict=False)]
    pairs += [(run.watched[stop], other.watched[stop]) for stop in run.watched.keys() & other.watched.keys()]
    one, two = np.array(pairs).reshape(-1, 2).T
    scale = np.maximum(np.abs(one), np.abs(two))
    with np.errstate(invalid="ignore"):
        worst = np.max(np.abs(one - two) / np.where(scale == 0, 1, scale), initial=0)
        if len(run.losses) == len(other.losses):
            for ours, theirs in zip(run.model.parameters(), other.model.parameters(), strict=True):
                for array, right in zip(ours, theirs, strict=True):
                    worst = max(worst, np.max(np.abs(array - right)) / (np.max(np.abs(right)) or 1))
    return float(worst) if np.isfinite(worst) else math.inf


def _stretches(setting: Setting) -> Iterator[tuple[int, int]]:
    """First epoch and end of each call of ``train``: from stop to stop, or epoch by epoch if each has its batches."""
    anew = isinstance(setting.batches, np.ndarray)
    bounds = sorted({0, setting.epochs, *(range(setting.epochs) if anew else setting.stops)})
    return pairwise(bounds)
