"""Error analysis of an epoch on very many samples, all of which repeat the few rows of a data set.

The exact loss and gradient of k copies of a sample are k times those of one copy. The exact result of an epoch on any
number of samples therefore follows from one analysis of every row, without computing any sum over the samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.proof.bounds import Analysis, Array, Bounded, Pairs, exact, exact_pairs, in_both_dtypes
from bench.proof.targets import Target, bounded_target, flat_bounded
from impls import Network, Parameters


class _RepeatedRows(Analysis):
    """The analysis of samples of which sample i is row i mod len(X)."""

    def epoch(self, parameters: Parameters, X: Array, Y: Array, samples: int, rate: float) -> Bounded:
        """The mean loss of the samples, and all parameters after one update by their mean gradient, in one vector."""
        pairs = exact_pairs(parameters)
        counts = samples // len(X) + (np.arange(len(X)) < samples % len(X))
        value = error = size = np.zeros(1)
        for count, row in zip(counts, self._rows(pairs, X, Y), strict=True):
            value = value + count * row.value
            error = error + count * row.error
            size = size + count * row.magnitude
        # The sums over the samples, in any order: each term is rounded once in each of at most samples − 1 additions.
        total = Bounded(value, error + self._gamma(samples) * size)
        mean = self.scaled(total[1:], rate / samples)
        before = flat_bounded(pairs)
        after = self._minus(before, mean)
        loss = self.scaled(total[:1], 1 / samples)
        return Bounded(np.concatenate([loss.value, after.value]), np.concatenate([loss.error, after.error]))

    def _rows(self, pairs: Pairs, X: Array, Y: Array) -> Iterator[Bounded]:
        """The loss and the gradient of each row, in one vector."""
        for x, y in zip(X, Y, strict=True):
            forward, target = self.forward(pairs, exact(x[None])), exact(y[None])
            loss, gradient = self.loss(forward, target), flat_bounded(self.gradient(pairs, forward, target))
            yield Bounded(np.append(loss.value, gradient.value), np.append(loss.error, gradient.error))


def epoch_target(
    network: Network, parameters: Parameters, X: Array, Y: Array, samples: int, rate: float, dtype: str = "float64"
) -> Target:
    """What an epoch on all samples at once must give: the mean loss, and then the parameters after the update.

    Sample i is row i mod len(X) of X (rows, n_in) and Y (rows, n_out); the gradient is the mean over the samples. The
    samples may be divided into any parts, and the sums added in any tree.
    """
    reference, allowed = in_both_dtypes(
        lambda which: _RepeatedRows(network, which).epoch(parameters, X, Y, samples, rate), dtype
    )
    return bounded_target("value", dtype, reference, allowed)
