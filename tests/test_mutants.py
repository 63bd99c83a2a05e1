"""Every mutant of the proof is killed by its own fault.

The proof also rejects a mutant that raises TypeError because the interface has changed, but that shows nothing about
the proof. Therefore the tests state for each mutant which check rejects it and how the reason begins.
"""

import re

import pytest

from bench.proof import verify
from bench.proof.mutants import MUTANTS
from impls import Backend
from impls.numpy_plain import Model

OUTPUT = r"output\[\d+(, \d+)?\] is \S+, not "
"""The reason for a wrong output of a sample or a batch."""
LOSS = "loss is "
BIAS = r"gradient of b\[\d+\] in layer \d is "
SLOPE = rf"({BIAS}|gradient of W\[\d+, \d+\] in layer \d is )"

KILLED_BY = {
    "DroppedBias": ("forward", OUTPUT),
    "LeftOutRelu": ("forward", r"output\[\d, \d\] is -\S+, not 0 ± 0$"),
    "TransposedWeights": ("forward", OUTPUT),
    "SoftmaxOverSamples": ("forward", OUTPUT),
    "StaleOutput": ("contract", "forward of a sample: writing to a result changes the next one$"),
    "SinglePrecision": ("gradient", LOSS),
    "RoundedOutput": ("forward", OUTPUT),
    "MeanForSum": ("gradient", SLOPE),
    "DerivativeAtActivation": ("gradient", SLOPE),
    "DoubledDerivative": ("gradient", SLOPE),
    "SlopeOneAtZero": ("gradient", r"gradient of .* in layer 1 is \S+, not 0 ± "),
    "ForgottenFactor": ("gradient", SLOPE),
    "OneBiasGradient": ("gradient", BIAS),
    "SkippedUpdate": ("train", "new value of .* in layer 1 is "),
    "OneLearningRate": ("contract", r"loss in training with batches 1\["),
    "ReversedSamples": ("contract", r"loss in training with batches 1\["),
    "DroppedShortBatch": ("contract", r"loss in training with batches 2\[0\]"),
    "ShortBatchByFullSize": ("contract", r"loss in training with batches 2\[1\]"),
    "LossAfterUpdate": ("train", r"loss of epoch\[0\] is "),
    "StartsAfresh": ("train", r"loss of epoch\[0\] is "),
    "StaleAfterTraining": ("contract", r"output after training with batches None\[0\] is "),
    "ReversedBatch": ("forward", OUTPUT),
    "Constant": ("forward", r"output\[\d, 0\] is 0.5, not "),
    "NumberForNaN": ("contract", "forward of a batch does not propagate nan"),
    "ClippedLogits": ("contract", r"sigmoid\[\d, 0\] is 1e-15, not "),
    "LogOfProbability": ("gradient", LOSS),
    "LostTail": ("contract", r"sigmoid\[\d, 0\] is 0, not "),
    "Noisy": ("contract", "in the test that extreme logits are handled: RuntimeWarning: overflow encountered in exp"),
    "ReusedResult": ("contract", "forward of a batch: a result is overwritten by the next call$"),
    "ChangedInput": ("contract", "gradient changes its inputs$"),
    "SharedParameters": ("contract", "parameters are shared with the caller, not copied$"),
    "AnswersByIdentity": ("contract", r"output\[0\] is "),
    "ContiguousOnly": ("contract", r"output\[0\] is "),
    "AcceptsAnything": ("contract", "NaN in X: not rejected$"),
    "GradientOfTheStart": ("contract", "sum of losses in gradient is "),
    "DroppedRemainder": ("contract", r"sum of gradients\[\d+\] is "),
    "BlankBeyondABlock": ("contract", r"output of a batch of 65\[64, 0\] is 0, not "),
    "CutTail": ("contract", r"sigmoid\[\d, 0\] is 0, not \S+e-30\d "),
    "GradientByIdentity": ("contract", "(sum|mean) of (losses in gradient|gradients)"),
    "IdleAtSmallRates": ("contract", r"loss in training with batches \d\["),
    "OneForAll": ("contract", "building and training another model changes the outputs of this model$"),
}
"""By mutant: the operation whose check rejects it, and a pattern for the beginning of the reason."""

CONTRACT_TEST = {
    "AnswersByIdentity": "_results_depend_on_content_not_identity",
    "ContiguousOnly": "_every_memory_layout_works",
    "GradientByIdentity": "_results_depend_on_content_not_identity",
    "GradientOfTheStart": "training_updates_batch_by_batch",
    "DroppedRemainder": "_every_batch_size_works",
    "IdleAtSmallRates": "training_updates_batch_by_batch",
}
"""By mutant: the contract test that rejects it, for reasons that do not identify the test."""


def test_every_mutant_has_its_evidence_stated_and_its_fault_described():
    assert sorted(mutant.name for mutant in MUTANTS) == sorted(KILLED_BY)
    assert len({mutant.description for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed_by_its_own_fault(mutant):
    row = verify.kill_mutant(mutant)
    assert row is not None, f"survives: {mutant.description}"
    operation, pattern = KILLED_BY[mutant.name]
    assert row.operation == operation
    assert re.match(pattern, row.evidence.reason), row.evidence.reason
    # In float64, which is proved first; a fault that only float32 shows might be mere rounding.
    assert row.dtype == "float64"
    # No mutant is meant to raise an error, and only Noisy is meant to warn.
    assert "Error" not in row.evidence.reason
    assert ("Warning" in row.evidence.reason) == (mutant.name == "Noisy")


@pytest.mark.parametrize("name", CONTRACT_TEST)
def test_a_mutant_fails_the_contract_test_for_its_fault(name, monkeypatch):
    """The contract test alone is run, and rejects the mutant."""
    (mutant,) = [candidate for candidate in MUTANTS if candidate.name == name]
    tests = tuple(test for test in verify.contract_tests.PROMISES if test.__name__ == CONTRACT_TEST[name])
    assert len(tests) == 1
    monkeypatch.setattr(verify.contract_tests, "PROMISES", tests)
    row = verify.kill_mutant(mutant)
    assert row is not None
    assert (row.operation, row.dtype) == ("contract", "float64")
    assert re.match(KILLED_BY[name][1], row.evidence.reason), row.evidence.reason


@pytest.mark.slow
def test_the_original_of_the_mutants_passes():
    assert verify.kill_mutant(Backend("unharmed", "mutant", Model)) is None


def test_a_mutant_of_an_older_contract_does_not_match_the_stated_reasons():
    """The proof rejects it with a TypeError, which matches none of the stated reasons."""

    class LazyOnce(Model):
        def _train(self, X, Y, size, epochs, *rates):
            return [0.0] * epochs

    row = verify.kill_mutant(Backend("LazyOnce", "mutant", LazyOnce))
    assert row.evidence.reason.startswith("TypeError: ")
    assert not any(re.match(pattern, row.evidence.reason) for _, pattern in KILLED_BY.values())
