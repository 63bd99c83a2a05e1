"""The judgement of the calls that were timed, without processes."""

import pytest

from bench import correctness
from bench.cases import Case
from bench.proof.verify import expect_case
from impls import Backend, Network, numpy_plain
from pairbench.workload import CheckFailed, require

XOR = Network((2, 3, 1), "tanh", "tanh", "mean_squared_error")
CASES = [
    Case(XOR, "train", 4, dtype, epochs=epochs, batches=batches)
    for dtype in ("float64", "float32")
    for epochs, batches in ((1, None), (20, None), (100, 1), (10, 3))
]


def judged(model, case):
    """Check, call and check again, as it is done around the timing."""
    backend, expectation = Backend("tried", "test", model), expect_case(case)
    call, evidence = correctness.build_verified(backend, case, expectation)
    require(evidence)
    require(correctness.verify_timed_call(backend, case, expectation, call))


class LastEpochLeftOut(numpy_plain.Model):
    """The losses are right, the parameters those of an epoch before."""

    def _train(self, X, Y, descent):
        if descent.epochs == 1:
            return super()._train(X, Y, descent)
        before, losses = self._layers, super()._train(X, Y, descent)
        self._layers = before
        super()._train(X, Y, descent._replace(epochs=descent.epochs - 1))
        return losses


class LargerBatches(numpy_plain.Model):
    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(size=len(X)))


class LastUpdateLeftOut(numpy_plain.Model):
    def _train(self, X, Y, descent):
        if descent.size == len(X):
            return super()._train(X, Y, descent)
        losses = super()._train(X, Y, descent._replace(epochs=descent.epochs - 1))
        last = super()._train(X[: -descent.size], Y[: -descent.size], descent._replace(epochs=1))
        return [*losses, *last]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_right_training_passes(case):
    judged(numpy_plain.Model, case)


@pytest.mark.parametrize("case", [case for case in CASES if case.epochs > 1], ids=str)
def test_a_training_of_fewer_epochs_is_seen(case):
    with pytest.raises(CheckFailed, match="after a timed training"):
        judged(LastEpochLeftOut, case)


@pytest.mark.parametrize("model", [LargerBatches, LastUpdateLeftOut])
@pytest.mark.parametrize("case", [case for case in CASES if case.batches], ids=str)
def test_a_training_of_fewer_updates_is_seen(case, model):
    with pytest.raises(CheckFailed, match="a timed"):
        judged(model, case)
