"""The check of the timed calls, without worker processes."""

import math
import pickle
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from bench import correctness
from bench.cases import Case
from bench.correctness import CaseJudge, CaseWorkload, copy_of
from bench.proof import contract_tests, problems, training_contract
from bench.proof.targets import Evidence, flat
from bench.proof.verify import expect_case
from impls import Backend, Network, numpy_plain
from pairbench.judged_samples import PreparedSample
from pairbench.workload import CheckFailed, JudgedSample, SamplePlan, WorkloadError, require

XOR = Network((2, 3, 1), "tanh", "tanh", "mean_squared_error")
CASES = [
    Case(XOR, "train", 4, dtype, epochs=epochs, batches=batches)
    for dtype in ("float64", "float32")
    for epochs, batches in ((1, None), (20, None), (100, 1), (10, 3))
]


class Tried(CaseWorkload):
    """A workload of a class of this file, which remembers the timed model."""

    model_class = timed_model = None

    def _load(self):
        return Backend("tried", "test", self.model_class)

    def _timed_call(self, model):
        object.__setattr__(self, "timed_model", model)
        return super()._timed_call(model)


def tried(model, case):
    """The workload of a model, and its judge."""
    workload, judge = Tried.of("tried", case, expect_case(case)), CaseJudge(case, expect_case(case))
    object.__setattr__(workload, "model_class", model)
    return workload, judge


PLAN = SamplePlan(1, loops=4, judged={0: 11, 2: 12})
"""A sample of four calls, two of which are judged. Two warm-up calls precede it."""


def judged(model, case, between=lambda timed: None):
    """Judge a model as a process and its parent do, and call ``between`` with the timed model before the sample."""
    workload, judge = tried(model, case)
    call, results = workload.build_and_compute()
    require(judge.judge_results(results))
    between(workload.timed_model)
    sample = PreparedSample(call, PLAN)
    sample.time()
    require(judge.judge_sample(sample.record()))


class LastEpochLeftOut(numpy_plain.Model):
    """Returns the right losses, but leaves the parameters one epoch behind."""

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


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_correct_training_passes(case):
    judged(numpy_plain.Model, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.epochs > 1], ids=str)
def test_a_training_of_fewer_epochs_is_rejected(case):
    with pytest.raises(CheckFailed, match=r"^(loss of a timed epoch|parameter after a timed training)"):
        judged(LastEpochLeftOut, case)


@pytest.mark.slow
@pytest.mark.parametrize("model", [LargerBatches, LastUpdateLeftOut])
@pytest.mark.parametrize("case", [case for case in CASES if case.batches], ids=str)
def test_a_training_of_fewer_updates_is_rejected(case, model):
    with pytest.raises(CheckFailed, match=r"^(loss of a timed epoch|parameter after a timed training)"):
        judged(model, case)


SMALL = Network((3, 4, 2))
WITHOUT_TRAINING = [
    Case(SMALL, operation, batch, dtype)
    for dtype in ("float64", "float32")
    for operation, batch in (("forward", 1), ("forward", 5), ("gradient", 5))
]
FORWARD = [case for case in WITHOUT_TRAINING if case.operation == "forward"]
GRADIENT = [case for case in WITHOUT_TRAINING if case.operation == "gradient"]


class Altering(numpy_plain.Model):
    """Right, except for one coming result, which it alters."""

    countdown, alter = math.inf, None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        compute = self.forward
        self.forward = lambda x: self.altered(compute(x))

    def gradient(self, *arguments, **options):
        return self.altered(super().gradient(*arguments, **options))

    def altered(self, result):
        self.countdown -= 1
        return self.alter(result) if self.countdown == 0 else result


def altering(number, alter):
    """A function that makes a model alter the result of its ``number``-th call from now on."""

    def schedule(model):
        model.countdown, model.alter = number, alter

    return schedule


@pytest.mark.parametrize("case", WITHOUT_TRAINING, ids=str)
def test_correct_results_pass(case):
    judged(Altering, case)
    judged(Altering, case, altering(99, None))


def larger(result):
    return (result * 1.001).astype(result.dtype)


def in_the_other_dtype(result):
    return result.astype("float32" if result.dtype == np.float64 else "float64")


WRONG_OUTPUTS = {
    "off": (larger, r"^output\[\d.*\] is .*, not .* ± "),
    "a list": (np.ndarray.tolist, "^forward does not return an array of {dtype}$"),
    "another dtype": (in_the_other_dtype, "^forward does not return an array of {dtype}$"),
    "another shape": (lambda result: result[None], r"^output has shape \(1, "),
}


@pytest.mark.parametrize("wrong", WRONG_OUTPUTS)
@pytest.mark.parametrize("case", FORWARD, ids=str)
def test_a_wrong_output_of_a_timed_call_is_rejected(case, wrong):
    alter, text = WRONG_OUTPUTS[wrong]
    with pytest.raises(CheckFailed, match=text.format(dtype=case.dtype)):
        judged(Altering, case, altering(3, alter))


@pytest.mark.parametrize("case", [FORWARD[0], GRADIENT[0], CASES[0]], ids=str)
def test_a_missing_result_of_a_judged_call_is_an_error(case):
    workload, judge = tried(numpy_plain.Model, case)
    sample = PreparedSample(workload.build(), PLAN)
    sample.time()
    record = sample.record()
    assert judge.judge_sample(record).ok
    with pytest.raises(ValueError, match="shorter"):
        judge.judge_sample(replace(record, results=record.results[:1]))


def test_a_wrong_parameter_after_a_sample_is_named():
    workload, judge = tried(numpy_plain.Model, CASES[0])
    sample = PreparedSample(workload.build(), PLAN)
    sample.time()
    record = sample.record()
    record.after[1][0][2, 0] += 1e-6
    evidence = judge.judge_sample(record)
    assert evidence.reason.startswith("parameter after a timed training of W[2, 0] in layer 2 is ")


def last_bias_off(result):
    loss, gradient = result
    dW, db = gradient[-1]
    return loss, [*gradient[:-1], (dW, larger(db))]


WRONG_GRADIENTS = {
    "loss": (lambda result: (result[0] * 1.001, result[1]), "^loss is "),
    "derivative": (last_bias_off, r"^gradient of b\[\d\] in layer 2 is "),
}


@pytest.mark.parametrize("wrong", WRONG_GRADIENTS)
@pytest.mark.parametrize("case", GRADIENT, ids=str)
def test_a_wrong_gradient_of_a_timed_call_is_rejected(case, wrong):
    alter, text = WRONG_GRADIENTS[wrong]
    with pytest.raises(CheckFailed, match=text):
        judged(Altering, case, altering(3, alter))


@pytest.mark.parametrize("case", WITHOUT_TRAINING, ids=str)
@pytest.mark.parametrize(("number", "is_judged"), [(2, False), (3, True), (4, False), (5, True), (6, False)])
def test_the_calls_of_the_plan_are_judged_and_no_others(case, number, is_judged):
    alter, text = (larger, "^output") if case.operation == "forward" else WRONG_GRADIENTS["derivative"]
    with pytest.raises(CheckFailed, match=text) if is_judged else nullcontext():
        judged(Altering, case, altering(number, alter))


def test_a_result_that_is_no_array_has_an_infinite_error():
    """Infinity, unlike None, compares with the errors of other results."""
    case = FORWARD[0]
    found = CaseJudge(case, expect_case(case)).judge_sample(JudgedSample(SamplePlan(0, 1, {0: 1}), [[0.5, 0.5]], 0, 0))
    assert found == Evidence(False, math.inf, math.inf, "forward does not return an array of float64")
    assert found.ok is False


class Counted(numpy_plain.Model):
    """Counts the models that are built."""

    built = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Counted.built += 1


@pytest.mark.parametrize("case", [*WITHOUT_TRAINING, *CASES[::4]], ids=str)
def test_the_timed_model_is_warm_and_untrained(case, monkeypatch):
    """The checked model itself is timed, unless the check has trained it."""
    monkeypatch.setattr(Counted, "built", 0)
    workload, _ = tried(Counted, case)
    workload.build_and_compute()
    timed = workload.timed_model
    assert Counted.built == (2 if case.operation == "train" else 1)
    assert timed.dtype == np.dtype(case.dtype)
    np.testing.assert_array_equal(flat(timed.parameters()), flat(workload.problem.parameters), strict=True)


@pytest.mark.parametrize("case", [FORWARD[0], FORWARD[-1], GRADIENT[0], CASES[0]], ids=str)
def test_a_workload_builds_the_call_of_its_backend(case):
    workload, _ = tried(numpy_plain.Model, case)
    assert workload.compiles is False
    named = CaseWorkload.of("numpy_plain", case, expect_case(case))
    assert named.verify_once() == correctness.contract_evidence("numpy_plain", case.dtype)
    assert named.verify_once().ok
    _, results = workload.build_and_compute()
    evidence = CaseJudge(case, expect_case(case)).judge_results(results)
    assert evidence.ok
    assert evidence.ulps > 0  # the results were compared
    workload.build()
    built = workload.timed_model
    assert type(built) is numpy_plain.Model
    assert built.dtype == np.dtype(case.dtype)
    np.testing.assert_array_equal(flat(built.parameters()), flat(workload.problem.parameters), strict=True)


def test_the_process_of_the_backend_does_not_get_the_right_results():
    expectation = expect_case(FORWARD[0])
    sent = pickle.dumps(CaseWorkload.of("numpy_plain", FORWARD[0], expectation))
    assert all(target.high.tobytes() not in sent for target in expectation.targets)


class ChangesItsInputs(numpy_plain.Model):
    def gradient(self, X, Y, reduction="mean"):
        result = super().gradient(X, Y, reduction)
        Y[:] = 0
        return result


def test_a_backend_that_changes_its_inputs_is_told_so_and_harms_no_other():
    case = GRADIENT[0]
    workload, _ = tried(ChangesItsInputs, case)
    problem = copy_of(workload.problem)
    assert (problem.network, problem.dtype) == (case.network, case.dtype)
    with pytest.raises(WorkloadError, match=r"^changes its inputs$"):
        workload.build_and_compute()
    sample = PreparedSample(workload.build(), PLAN)
    sample.time()
    with pytest.raises(WorkloadError, match=r"^changes its inputs$"):
        sample.record()
    np.testing.assert_array_equal(workload.problem.Y, problem.Y)
    judged(numpy_plain.Model, case)


def test_a_workload_knows_whether_its_backend_compiles():
    assert CaseWorkload.of("numba_plain", FORWARD[0], expect_case(FORWARD[0])).compiles is True


def test_a_workload_of_no_backend_says_so_in_one_line():
    with pytest.raises(WorkloadError, match=r"^no backend is named 'abacus'; .*numpy_plain"):
        CaseWorkload.of("abacus", FORWARD[0], expect_case(FORWARD[0])).build()


def test_the_expected_trainings_of_the_contract_are_shared_by_equal_problems_alone(monkeypatch):
    analysed, expect = [], training_contract._expect_training
    monkeypatch.setattr(training_contract, "_expect_training", lambda *given: analysed.append(given) or expect(*given))
    backend = Backend("plain", "test", numpy_plain.Model)
    one, other = (problems.draw_problem(Network((2, 3, 1)), 5, seed=7) for _ in range(2))
    counts = []
    for problem in (one, other, replace(one, X=one.X / 2)):
        assert contract_tests.check_contract(backend, problem).ok
        counts.append(len(analysed))
    assert counts == [16, 16, 32]  # twice: the whole batch, batches of 1 to 5, and two choices of rows
