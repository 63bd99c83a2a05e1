"""The contract tests: properties of a backend beyond the values of single results.

Examples: a model does not modify its inputs, returns new arrays, propagates NaN, and rejects invalid arguments.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, Bounded, Pairs, exact, exact_pairs, in_both_dtypes
from bench.proof.problems import Problem
from bench.proof.targets import Evidence, bounded_target, flat, flat_bounded
from impls import Backend, Model, Network
from impls._network import HIDDEN, OUTPUTS
from pairbench.error_text import describe_error

LARGE = 1000.0
"""Largest magnitude of the last layer's logits in the test with extreme logits."""

BATCH_SIZES = (1, 2, 9, 64, 65, 131)
TAILS = {
    "float64": (-0.1, -10.0, -100.0, -600.0, -690.0, -700.0, -708.0),
    "float32": (-0.1, -10.0, -50.0, -80.0, -87.0),
}
"""By dtype, logits whose sigmoids are small but not subnormal."""


class ContractViolation(Exception):
    """A backend violates the contract; the text says how."""


@dataclass(frozen=True)
class Subject:
    """The backend under test and the problem to test it with."""

    backend: Backend
    problem: Problem

    def build(self, problem: Problem | None = None) -> Model:
        """Build a new model of the problem, or of the one that is given."""
        problem = problem or self.problem
        return self.backend.build(problem.network, problem.parameters, problem.dtype)

    def supports(self, operation: str) -> bool:
        """Whether the backend supports an operation on the problem's network. Tests skip unsupported operations."""
        return operation not in self.backend.lacks(self.problem.network)

    def outputs(self, X: Any, parameters: Any = None) -> tuple[Any, Any]:
        """Analyse the outputs of a batch X (batch, n_in), in float64 and in the dtype of the problem."""
        pairs = exact_pairs(parameters or self.problem.parameters)
        network = self.problem.network
        return in_both_dtypes(
            lambda dtype: Analysis(network, dtype).forward(pairs, exact(X)).outputs, self.problem.dtype
        )


def contract_network(backend: Backend) -> Network:
    """The smallest network for the contract tests whose forward pass the backend supports; 3-3-1 if it lacks all."""
    candidates = [
        Network((3, 3, 2 if output == "softmax" else 1), hidden, output, loss)
        for loss, outputs in OUTPUTS.items()
        for output in outputs
        for hidden in HIDDEN
    ]
    return next((network for network in candidates if "forward" not in backend.lacks(network)), candidates[0])


def check_contract(backend: Backend, problem: Problem) -> Evidence:
    """Run all contract tests; a warning counts as a failure.

    The evidence has the largest error of all comparisons ÷ its bound, and no ulps.
    """
    subject, share = Subject(backend, problem), 0.0
    for contract_test in PROMISES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                share = max([share, *(contract_test(subject) or ())])
        except ContractViolation as error:
            return Evidence(False, 0.0, np.inf, str(error))
        except (Exception, SystemExit) as error:
            name = contract_test.__name__.strip("_").replace("_", " ")
            return Evidence(False, 0.0, np.inf, f"in the test that {name}: {describe_error(error)}")
    return Evidence(True, 0.0, share, "")


@dataclass(frozen=True)
class TrainingOptions:
    """Arguments of ``train``; ``bias_rate`` None stands for ``rate``."""

    mean: bool
    rate: float
    bias_rate: float | None
    epochs: int


@dataclass(frozen=True)
class ExpectedTraining:
    """A training, and the losses and parameters after it: as analysed in float64 and in the dtype of the problem."""

    batches: Any
    options: TrainingOptions
    reference: tuple[Bounded, Bounded]
    allowed: tuple[Bounded, Bounded]


def _require(condition: bool | np.bool_, text: str) -> None:
    """Raise ContractViolation with the text unless the condition holds."""
    if not condition:
        raise ContractViolation(text)


def _judge(quantity: str, dtype: str, reference: Any, allowed: Any, computed: Any) -> float:
    """Return the largest error ÷ its bound. Raises ContractViolation if an error is larger than its bound."""
    evidence = bounded_target(quantity, dtype, reference, allowed).judge(computed)
    _require(evidence.ok, evidence.reason)
    return evidence.share


def _equal(a: Any, b: Any) -> bool:
    return bool(np.array_equal(flat(a), flat(b), equal_nan=True) if isinstance(a, list) else np.array_equal(a, b))


def _results_have_the_right_type_and_shape(subject: Subject) -> None:
    problem, model = subject.problem, subject.build()
    X, Y, network = problem.X, problem.Y, problem.network
    dtype = np.dtype(problem.dtype)
    results: dict[str, tuple[Any, tuple[int, ...]]] = {
        "forward of a sample": (model.forward(X[0]), (network.n_out,)),
        "forward of a batch": (model.forward(X), (len(X), network.n_out)),
    }
    losses: dict[str, Any] = {}
    if subject.supports("loss"):
        losses["loss"] = model.loss(X, Y)
    if subject.supports("gradient"):
        losses["loss of gradient"], gradient = model.gradient(X, Y)
        for layer, ((dW, db), shape) in enumerate(zip(gradient, network.shapes, strict=True), start=1):
            results[f"dW of layer {layer}"] = dW, shape
            results[f"db of layer {layer}"] = db, shape[1:]
    for name, (array, expected) in results.items():
        _require(type(array) is np.ndarray, f"{name} is a {type(array).__name__}, not an array")
        _require(array.shape == expected, f"{name} has shape {array.shape}, not {expected}")
        _require(array.dtype == dtype, f"{name} has dtype {array.dtype}, not {dtype}")
    for name, value in losses.items():
        _require(type(value) is float, f"{name} is a {type(value).__name__}, not a float")
    if subject.supports("train"):
        epochs = model.train(X, Y, epochs=2, learning_rate=0.1)
        _require(isinstance(epochs, np.ndarray) and epochs.shape == (2,), "train does not return an array (epochs,)")
    for W, b in model.parameters():
        _require(W.dtype == b.dtype == np.float64, "parameters are not float64")


def _inputs_are_not_modified(subject: Subject) -> None:
    problem = subject.problem
    dtype = np.dtype(problem.dtype)
    X, Y = problem.X.astype(dtype), problem.Y.astype(dtype)
    parameters = [(W.astype(dtype), b.astype(dtype)) for W, b in problem.parameters]
    model = subject.build(replace(problem, parameters=parameters))
    operations: dict[str, Callable[[], object]] = {
        "forward of a sample": lambda: model.forward(X[0]),
        "forward of a batch": lambda: model.forward(X),
        "loss": lambda: model.loss(X, Y),
        "gradient": lambda: model.gradient(X, Y),
        "train": lambda: model.train(X, Y, epochs=2, learning_rate=0.1, batches=2),
    }
    operations = {name: operation for name, operation in operations.items() if subject.supports(name)}
    for name, operation in operations.items():
        operation()
        _require(_equal(X, problem.X) and _equal(Y, problem.Y), f"{name} changes its inputs")
    _require(_equal(parameters, problem.parameters), "build changes the parameters that it is given")
    for array in (X, Y):
        array.flags.writeable = False
    for operation in operations.values():
        operation()


def _parameters_are_copied(subject: Subject) -> None:
    problem = subject.problem
    parameters = [(W.copy(), b.copy()) for W, b in problem.parameters]
    model = subject.build(replace(problem, parameters=parameters))
    before = model.forward(problem.X)
    _require(_equal(model.parameters(), problem.parameters), "parameters() differs from the parameters passed to build")
    for pairs in (parameters, model.parameters()):
        for W, b in pairs:
            W += 1
            b += 1
    _require(_equal(model.forward(problem.X), before), "parameters are shared with the caller, not copied")


def _results_are_new_arrays(subject: Subject) -> None:
    problem, model = subject.problem, subject.build()
    # Both batches have the same length, so that a wrong backend could reuse an array.
    X, Y = ([array[s : s + 3] for s in (0, 1)] for array in (problem.X, problem.Y))
    operations: dict[str, Callable[[int], list[Any]]] = {
        "forward of a sample": lambda s: [model.forward(X[s][0])],
        "forward of a batch": lambda s: [model.forward(X[s])],
        "gradient": lambda s: [part for pair in model.gradient(X[s], Y[s])[1] for part in pair],
        "parameters": lambda s: [part for pair in model.parameters() for part in pair],
    }
    for name, operation in operations.items():
        if not subject.supports(name):
            continue
        first = operation(0)
        _require(all(array.flags.writeable for array in first), f"{name}: a result is read-only")
        kept = [array.copy() for array in first]
        operation(1)
        _require(all(map(_equal, first, kept)), f"{name}: a result is overwritten by the next call")
        for array in first:
            array += 1
        _require(all(map(_equal, operation(0), kept)), f"{name}: writing to a result changes the next one")


def _results_depend_on_content_not_identity(subject: Subject) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    reference, allowed = subject.outputs(problem.X)
    # One array at a time: alternating arrays would hide a model that caches by the identity of the last array.
    for array in (np.empty(problem.network.n_in, problem.dtype), np.empty_like(problem.X, problem.dtype)):
        for row, sample in enumerate(problem.X):
            array[...] = sample
            outputs = model.forward(array)
            last = outputs if outputs.ndim == 1 else outputs[-1]
            yield _judge("output", problem.dtype, reference[row], allowed[row], last)
    X, Y = problem.X.astype(problem.dtype), problem.Y.astype(problem.dtype)
    for half in (False, True):
        if half:
            if subject.supports("gradient"):  # the next call differs from this one in content only
                model.gradient(X, Y, reduction="sum")
            X *= 0.5
        yield from _loss_and_gradient(subject, replace(problem, X=X, Y=Y), model)


def _every_batch_size_works(subject: Subject) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    for rows in BATCH_SIZES:
        X, Y = np.resize(problem.X, (rows, problem.X.shape[1])), np.resize(problem.Y, (rows, problem.Y.shape[1]))
        X = X * np.linspace(0.5, 1, rows)[:, None].astype(np.float16)  # all rows differ
        X = X.astype(problem.dtype).astype(np.float64)
        yield _judge(f"output of a batch of {rows}", problem.dtype, *subject.outputs(X), model.forward(X))
        yield from _loss_and_gradient(subject, replace(problem, X=X, Y=Y), model)


def _models_are_independent(subject: Subject) -> None:
    problem = subject.problem
    model = subject.build()
    before = model.forward(problem.X[0]), model.forward(problem.X)
    other = subject.build(replace(problem, parameters=[(0.5 * W, b) for W, b in problem.parameters]))
    _require(
        not _equal(other.forward(problem.X), before[1]), "two models with different parameters return the same outputs"
    )
    if subject.supports("train"):
        other.train(problem.X, problem.Y, epochs=1, learning_rate=0.1)
    after = model.forward(problem.X[0]), model.forward(problem.X)
    _require(all(map(_equal, before, after)), "building and training another model changes the outputs of this model")


def _small_sigmoids_are_accurate(subject: Subject) -> Iterator[float]:
    dtype = subject.problem.dtype
    network, parameters = Network((1, 1)), [(np.ones((1, 1)), np.zeros(1))]
    if "forward" in subject.backend.lacks(network):
        return
    model = subject.backend.build(network, parameters, dtype)
    X = np.array(TAILS[dtype])[:, None]
    tail = replace(subject.problem, network=network, parameters=parameters)
    reference, allowed = Subject(subject.backend, tail).outputs(X)
    yield _judge("sigmoid", dtype, reference, allowed, model.forward(X))
    for row, x in enumerate(X):
        yield _judge(f"sigmoid({x[0]:g})", dtype, reference[row], allowed[row], model.forward(x))


def _every_memory_layout_works(subject: Subject) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    X = problem.X.astype(problem.dtype)
    wide = np.repeat(X, 2, axis=1)
    long = np.zeros((len(X), X.shape[1] + 1), X.dtype)
    long[:, 1:] = X
    reference, allowed = subject.outputs(problem.X)
    layouts = [np.asfortranarray(X), wide[:, ::2], X[::-1][::-1], X[:, ::-1].copy()[:, ::-1], long[:, 1:], X.tolist()]
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    unaligned[:] = X
    layouts += [X.astype(">f8"), tuple(map(tuple, X.tolist())), unaligned]
    for layout in layouts:
        yield _judge("output", problem.dtype, reference, allowed, model.forward(layout))
        yield _judge("output", problem.dtype, reference[0], allowed[0], model.forward(layout[0]))
    whole = np.rint(4 * problem.X).astype(int)
    reference, allowed = subject.outputs(whole)
    for integers in (whole, whole.astype(np.int8), whole.tolist()):
        yield _judge("output", problem.dtype, reference, allowed, model.forward(integers))
        yield _judge("output", problem.dtype, reference[0], allowed[0], model.forward(integers[0]))
    fortran = [(np.asfortranarray(W), b[::-1].copy()[::-1]) for W, b in problem.parameters]
    other = subject.build(replace(problem, parameters=fortran))
    _require(
        _equal(other.forward(problem.X), model.forward(problem.X)),
        "the outputs depend on the memory layout of the parameters",
    )


def _nan_and_infinity_propagate(subject: Subject) -> None:
    problem, model = subject.problem, subject.build()
    clean = model.forward(problem.X)
    for value in (np.nan, np.inf, -np.inf):
        X = problem.X.copy()
        X[1, -1] = value
        outputs, (expected, _) = model.forward(X), subject.outputs(X)
        for argument, row in (("a batch", outputs[1]), ("a sample", model.forward(X[1]))):
            same = np.isclose(row, expected.value[1], rtol=1e-3, atol=1e-30, equal_nan=True)
            _require(same.all(), f"forward of {argument} does not propagate {value} as NumPy does: {row}")
        outputs[1] = clean[1]
        # The matrix product may be computed in other blocks, so the other rows need not be bit-identical.
        near = np.isclose(outputs, clean, rtol=1e-4, atol=1e-30)
        _require(near.all(), f"{value} in one sample changes the outputs of another sample")


def _extreme_logits_are_handled(subject: Subject) -> Iterator[float]:
    problem = subject.problem
    W, b = problem.parameters[-1]
    logits = Analysis(problem.network, problem.dtype).forward(exact_pairs(problem.parameters), exact(problem.X)).logits
    factor = 2.0 ** np.round(np.log2(LARGE / np.abs(logits[-1].value).max()))
    extreme = replace(problem, parameters=[*problem.parameters[:-1], (W * factor, b * factor)])
    model = subject.build(extreme)
    reference, allowed = subject.outputs(problem.X, extreme.parameters)
    yield _judge("extreme output", problem.dtype, reference, allowed, model.forward(problem.X))
    yield _judge("extreme output", problem.dtype, reference[0], allowed[0], model.forward(problem.X[0]))
    yield from _loss_and_gradient(subject, extreme, model)


def _means_are_sums_divided_by_the_batch_size(subject: Subject) -> Iterator[float]:
    yield from _loss_and_gradient(subject, subject.problem, subject.build())


def _loss_and_gradient(subject: Subject, problem: Problem, model: Model) -> Iterator[float]:
    X, Y = problem.X, problem.Y

    def analyze(dtype: str) -> tuple[Analysis, Bounded, Pairs]:
        analysis, pairs = Analysis(problem.network, dtype), exact_pairs(problem.parameters)
        forward = analysis.forward(pairs, exact(X))
        return analysis, analysis.loss(forward, exact(Y)), analysis.gradient(pairs, forward, exact(Y))

    (reference, loss, gradient), (allowed, allowed_loss, allowed_gradient) = in_both_dtypes(analyze, problem.dtype)
    for reduction, scale in (("sum", 1.0), ("mean", 1 / len(X))):
        losses = reference.scaled(loss, scale), allowed.scaled(allowed_loss, scale)
        gradients = (
            reference.scaled(flat_bounded(gradient), scale),
            allowed.scaled(flat_bounded(allowed_gradient), scale),
        )
        if subject.supports("loss"):
            yield _judge(f"{reduction} of losses", problem.dtype, *losses, model.loss(X, Y, reduction=reduction))
        if subject.supports("gradient"):
            total, computed = model.gradient(X, Y, reduction=reduction)
            yield _judge(f"{reduction} of losses in gradient", problem.dtype, *losses, total)
            yield _judge(f"{reduction} of gradients", problem.dtype, *gradients, flat(computed))


def _training_updates_batch_by_batch(subject: Subject) -> Iterator[float]:
    if subject.supports("train"):
        for expected in _expected_trainings(_Content.of(subject.problem)):
            yield from _training(subject, expected)


@dataclass(frozen=True)
class _Content:
    """A problem, equal to any other with the same values: each backend has arrays of its own, which it might change."""

    problem: Problem = field(compare=False)
    network: Network
    dtype: str
    values: bytes

    @classmethod
    def of(cls, problem: Problem) -> _Content:
        arrays = (flat(problem.parameters), problem.X, problem.Y)
        return cls(problem, problem.network, problem.dtype, b"".join(array.tobytes() for array in arrays))


@cache
def _expected_trainings(content: _Content) -> list[ExpectedTraining]:
    """The trainings of a problem. They are the same for every backend, and their analysis takes long."""
    problem = content.problem
    n = len(problem.X)
    chosen = np.array([[2, 0, 1], [n - 1, 2, 2]])
    variants: list[tuple[Any, list[Any]]] = [
        (None, [slice(0, n)]),
        *((size, [slice(s, s + size) for s in range(0, n, size)]) for size in range(1, n + 1)),
        (chosen, list(chosen)),
        (chosen.tolist(), list(chosen)),
    ]
    all_options = cycle(
        [
            TrainingOptions(True, 0.05, None, 2),
            TrainingOptions(False, 0.02, 0.01, 5),
            TrainingOptions(True, 1e-4, 0.0, 2),
            TrainingOptions(True, 0.05, 0.02, 4),
        ]
    )
    return [
        _expect_training(problem, batches, steps, options)
        for (batches, steps), options in zip(variants * 2, all_options, strict=False)
    ]


def _expect_training(problem: Problem, batches: Any, steps: list[Any], options: TrainingOptions) -> ExpectedTraining:
    def analyze(dtype: str) -> tuple[Bounded, Bounded]:
        losses, parameters = Analysis(problem.network, dtype).train(
            exact_pairs(problem.parameters),
            exact(problem.X),
            exact(problem.Y),
            steps=steps,
            epochs=options.epochs,
            learning_rate=options.rate,
            bias_learning_rate=options.rate if options.bias_rate is None else options.bias_rate,
            mean=options.mean,
        )
        return losses, flat_bounded(parameters)

    reference, allowed = in_both_dtypes(analyze, problem.dtype)
    return ExpectedTraining(batches, options, reference, allowed)


def _training(subject: Subject, expected: ExpectedTraining) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    batches, options = expected.batches, expected.options
    (reference_losses, reference), (allowed_losses, allowed) = expected.reference, expected.allowed
    training = f"training with batches {batches if batches is None else np.array(batches).tolist()}"
    settings: dict[str, Any] = {
        "learning_rate": options.rate,
        "bias_learning_rate": options.bias_rate,
        "batches": batches,
        "reduction": "mean" if options.mean else "sum",
    }
    # Two calls: the second must continue from the parameters of the first.
    losses = [
        *model.train(problem.X, problem.Y, epochs=1, **settings),
        *model.train(problem.X, problem.Y, epochs=options.epochs - 1, **settings),
    ]
    yield _judge(f"loss in {training}", problem.dtype, reference_losses, allowed_losses, losses)
    parameters = model.parameters()
    yield _judge(f"parameter after {training}", problem.dtype, reference, allowed, flat(parameters))
    outputs, allowed_outputs = subject.outputs(problem.X, parameters)
    yield _judge(f"output after {training}", problem.dtype, outputs, allowed_outputs, model.forward(problem.X))
    yield _judge(f"output after {training}", problem.dtype, outputs[0], allowed_outputs[0], model.forward(problem.X[0]))
    yield from _loss_and_gradient(subject, replace(problem, parameters=parameters), model)


def _epochs_equal_separate_calls(subject: Subject) -> None:
    if not subject.supports("train"):
        return
    problem, one_call, three_calls = subject.problem, subject.build(), subject.build()
    settings: dict[str, Any] = {"learning_rate": 0.05, "batches": 3}
    losses = one_call.train(problem.X, problem.Y, epochs=3, **settings)
    separate_losses = [three_calls.train(problem.X, problem.Y, epochs=1, **settings)[0] for _ in range(3)]
    tolerance = 1e3 * np.finfo(problem.dtype).eps
    _require(
        np.allclose(losses, separate_losses, rtol=tolerance, atol=0)
        and np.allclose(flat(one_call.parameters()), flat(three_calls.parameters()), rtol=tolerance, atol=tolerance),
        "three epochs in one call differ from three calls of one epoch",
    )


def _divergence_raises_no_error(subject: Subject) -> None:
    if not subject.supports("train"):
        return
    problem, model = subject.problem, subject.build()
    losses = model.train(problem.X, problem.Y, epochs=3, learning_rate=1e300)
    _require(losses.shape == (3,), "a diverging training does not return the losses of its epochs")


def _derivative_of_relu_at_zero_is_zero(subject: Subject) -> None:
    problem = subject.problem
    if problem.network.hidden != "relu" or len(problem.parameters) < 2 or not subject.supports("gradient"):
        return
    (W, b), *others = problem.parameters
    model = subject.build(replace(problem, parameters=[(0 * W, 0 * b), *others]))
    dW, db = model.gradient(problem.X, problem.Y)[1][0]
    _require(not dW.any() and not db.any(), "the derivative of ReLU at 0 is not 0")


def _invalid_arguments_are_rejected(subject: Subject) -> None:
    problem, model = subject.problem, subject.build()
    X, Y = problem.X, problem.Y
    invalid_calls: dict[str, tuple[str, Callable[[], object]]] = {
        "a sample that is too wide": ("forward", lambda: model.forward(np.zeros(X.shape[1] + 1))),
        "an array with three dimensions": ("forward", lambda: model.forward(X[None])),
        "complex numbers": ("forward", lambda: model.forward(X.astype(complex))),
        "text": ("forward", lambda: model.forward([["a"] * X.shape[1]])),
        "an empty batch": ("forward", lambda: model.forward(X[:0])),
        "X and Y of different lengths": ("loss", lambda: model.loss(X, Y[1:])),
        "NaN in X": ("gradient", lambda: model.gradient(X * np.nan, Y)),
        "no epochs": ("train", lambda: model.train(X, Y, epochs=0, learning_rate=0.1)),
        "a negative learning rate": ("train", lambda: model.train(X, Y, epochs=1, learning_rate=-0.1)),
        "a row number beyond the last": (
            "train",
            lambda: model.train(X, Y, epochs=1, learning_rate=0.1, batches=[[len(X)]]),
        ),
    }
    before = flat(model.parameters())
    for argument, (operation, call) in invalid_calls.items():
        if not subject.supports(operation):
            continue
        try:
            call()
        except (TypeError, ValueError):
            _require(_equal(before, flat(model.parameters())), f"{argument}: rejected, but the model has changed")
        else:
            raise ContractViolation(f"{argument}: not rejected")


PROMISES: tuple[Callable[[Subject], Any], ...] = (
    _results_have_the_right_type_and_shape,
    _inputs_are_not_modified,
    _parameters_are_copied,
    _results_are_new_arrays,
    _results_depend_on_content_not_identity,
    _every_batch_size_works,
    _models_are_independent,
    _small_sigmoids_are_accurate,
    _every_memory_layout_works,
    _nan_and_infinity_propagate,
    _extreme_logits_are_handled,
    _means_are_sums_divided_by_the_batch_size,
    _training_updates_batch_by_batch,
    _epochs_equal_separate_calls,
    _divergence_raises_no_error,
    _derivative_of_relu_at_zero_is_zero,
    _invalid_arguments_are_rejected,
)
