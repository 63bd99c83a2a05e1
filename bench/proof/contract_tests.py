"""The contract tests: properties of a backend beyond the values of single results.

Examples: a model does not modify its inputs, returns new arrays, propagates NaN, and rejects invalid arguments.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.contract_subject import ContractViolation, Subject, equal, judge, loss_and_gradient, require
from bench.proof.problems import Problem
from bench.proof.targets import Evidence, flat
from bench.proof.training_contract import (
    divergence_raises_no_error,
    epochs_equal_separate_calls,
    training_updates_batch_by_batch,
)
from impls import Backend, Network
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
        require(type(array) is np.ndarray, f"{name} is a {type(array).__name__}, not an array")
        require(array.shape == expected, f"{name} has shape {array.shape}, not {expected}")
        require(array.dtype == dtype, f"{name} has dtype {array.dtype}, not {dtype}")
    for name, value in losses.items():
        require(type(value) is float, f"{name} is a {type(value).__name__}, not a float")
    if subject.supports("train"):
        epochs = model.train(X, Y, epochs=2, learning_rate=0.1)
        require(isinstance(epochs, np.ndarray) and epochs.shape == (2,), "train does not return an array (epochs,)")
    for W, b in model.parameters():
        require(W.dtype == b.dtype == np.float64, "parameters are not float64")


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
        require(equal(X, problem.X) and equal(Y, problem.Y), f"{name} changes its inputs")
    require(equal(parameters, problem.parameters), "build changes the parameters that it is given")
    for array in (X, Y):
        array.flags.writeable = False
    for operation in operations.values():
        operation()


def _parameters_are_copied(subject: Subject) -> None:
    problem = subject.problem
    parameters = [(W.copy(), b.copy()) for W, b in problem.parameters]
    model = subject.build(replace(problem, parameters=parameters))
    before = model.forward(problem.X)
    require(equal(model.parameters(), problem.parameters), "parameters() differs from the parameters passed to build")
    for pairs in (parameters, model.parameters()):
        for W, b in pairs:
            W += 1
            b += 1
    require(equal(model.forward(problem.X), before), "parameters are shared with the caller, not copied")


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
        require(all(array.flags.writeable for array in first), f"{name}: a result is read-only")
        kept = [array.copy() for array in first]
        operation(1)
        require(all(map(equal, first, kept)), f"{name}: a result is overwritten by the next call")
        for array in first:
            array += 1
        require(all(map(equal, operation(0), kept)), f"{name}: writing to a result changes the next one")


def _results_depend_on_content_not_identity(subject: Subject) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    reference, allowed = subject.outputs(problem.X)
    # One array at a time: alternating arrays would hide a model that caches by the identity of the last array.
    for array in (np.empty(problem.network.n_in, problem.dtype), np.empty_like(problem.X, problem.dtype)):
        for row, sample in enumerate(problem.X):
            array[...] = sample
            outputs = model.forward(array)
            last = outputs if outputs.ndim == 1 else outputs[-1]
            yield judge("output", problem.dtype, reference[row], allowed[row], last)
    X, Y = problem.X.astype(problem.dtype), problem.Y.astype(problem.dtype)
    for half in (False, True):
        if half:
            if subject.supports("gradient"):  # the next call differs from this one in content only
                model.gradient(X, Y, reduction="sum")
            X *= 0.5
        yield from loss_and_gradient(subject, replace(problem, X=X, Y=Y), model)


def _every_batch_size_works(subject: Subject) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    for rows in BATCH_SIZES:
        X, Y = np.resize(problem.X, (rows, problem.X.shape[1])), np.resize(problem.Y, (rows, problem.Y.shape[1]))
        X = X * np.linspace(0.5, 1, rows)[:, None].astype(np.float16)  # all rows differ
        X = X.astype(problem.dtype).astype(np.float64)
        yield judge(f"output of a batch of {rows}", problem.dtype, *subject.outputs(X), model.forward(X))
        yield from loss_and_gradient(subject, replace(problem, X=X, Y=Y), model)


def _models_are_independent(subject: Subject) -> None:
    problem = subject.problem
    model = subject.build()
    before = model.forward(problem.X[0]), model.forward(problem.X)
    other = subject.build(replace(problem, parameters=[(0.5 * W, b) for W, b in problem.parameters]))
    require(
        not equal(other.forward(problem.X), before[1]), "two models with different parameters return the same outputs"
    )
    if subject.supports("train"):
        other.train(problem.X, problem.Y, epochs=1, learning_rate=0.1)
    after = model.forward(problem.X[0]), model.forward(problem.X)
    require(all(map(equal, before, after)), "building and training another model changes the outputs of this model")


def _small_sigmoids_are_accurate(subject: Subject) -> Iterator[float]:
    dtype = subject.problem.dtype
    network, parameters = Network((1, 1)), [(np.ones((1, 1)), np.zeros(1))]
    if "forward" in subject.backend.lacks(network):
        return
    model = subject.backend.build(network, parameters, dtype)
    X = np.array(TAILS[dtype])[:, None]
    tail = replace(subject.problem, network=network, parameters=parameters)
    reference, allowed = Subject(subject.backend, tail).outputs(X)
    yield judge("sigmoid", dtype, reference, allowed, model.forward(X))
    for row, x in enumerate(X):
        yield judge(f"sigmoid({x[0]:g})", dtype, reference[row], allowed[row], model.forward(x))


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
        yield judge("output", problem.dtype, reference, allowed, model.forward(layout))
        yield judge("output", problem.dtype, reference[0], allowed[0], model.forward(layout[0]))
    whole = np.rint(4 * problem.X).astype(int)
    reference, allowed = subject.outputs(whole)
    for integers in (whole, whole.astype(np.int8), whole.tolist()):
        yield judge("output", problem.dtype, reference, allowed, model.forward(integers))
        yield judge("output", problem.dtype, reference[0], allowed[0], model.forward(integers[0]))
    fortran = [(np.asfortranarray(W), b[::-1].copy()[::-1]) for W, b in problem.parameters]
    other = subject.build(replace(problem, parameters=fortran))
    require(
        equal(other.forward(problem.X), model.forward(problem.X)),
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
            require(same.all(), f"forward of {argument} does not propagate {value} as NumPy does: {row}")
        outputs[1] = clean[1]
        # The matrix product may be computed in other blocks, so the other rows need not be bit-identical.
        near = np.isclose(outputs, clean, rtol=1e-4, atol=1e-30)
        require(near.all(), f"{value} in one sample changes the outputs of another sample")


def _extreme_logits_are_handled(subject: Subject) -> Iterator[float]:
    problem = subject.problem
    W, b = problem.parameters[-1]
    logits = Analysis(problem.network, problem.dtype).forward(exact_pairs(problem.parameters), exact(problem.X)).logits
    factor = 2.0 ** np.round(np.log2(LARGE / np.abs(logits[-1].value).max()))
    extreme = replace(problem, parameters=[*problem.parameters[:-1], (W * factor, b * factor)])
    model = subject.build(extreme)
    reference, allowed = subject.outputs(problem.X, extreme.parameters)
    yield judge("extreme output", problem.dtype, reference, allowed, model.forward(problem.X))
    yield judge("extreme output", problem.dtype, reference[0], allowed[0], model.forward(problem.X[0]))
    yield from loss_and_gradient(subject, extreme, model)


def _means_are_sums_divided_by_the_batch_size(subject: Subject) -> Iterator[float]:
    yield from loss_and_gradient(subject, subject.problem, subject.build())


def _derivative_of_relu_at_zero_is_zero(subject: Subject) -> None:
    problem = subject.problem
    if problem.network.hidden != "relu" or len(problem.parameters) < 2 or not subject.supports("gradient"):
        return
    (W, b), *others = problem.parameters
    model = subject.build(replace(problem, parameters=[(0 * W, 0 * b), *others]))
    dW, db = model.gradient(problem.X, problem.Y)[1][0]
    require(not dW.any() and not db.any(), "the derivative of ReLU at 0 is not 0")


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
            require(equal(before, flat(model.parameters())), f"{argument}: rejected, but the model has changed")
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
    training_updates_batch_by_batch,
    epochs_equal_separate_calls,
    divergence_raises_no_error,
    _derivative_of_relu_at_zero_is_zero,
    _invalid_arguments_are_rejected,
)
