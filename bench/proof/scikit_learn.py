"""A second, independent oracle: scikit-learn's perceptron with the same coefficients, where its options allow.

It has logistic, tanh and ReLU hidden layers; identity outputs with the squared error, logistic ones with the binary and
softmax with the categorical cross-entropy, for targets of 0 and 1. One call of its ``partial_fit`` is one step of
gradient descent on the mean loss. It rounds as any backend does, so both sides get the bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, Bounded, exact, exact_pairs
from bench.proof.problems import Problem
from bench.proof.targets import Evidence, bounded_target, combined, flat, flat_bounded
from impls import Backend, Network

HIDDEN = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
OUTPUTS = {
    "identity": "half_squared_error",
    "sigmoid": "binary_cross_entropy",
    "softmax": "categorical_cross_entropy",
}
LEARNING_RATE = 0.5


def applies(network: Network) -> bool:
    """Whether scikit-learn has this network."""
    return OUTPUTS.get(network.output) == network.loss


def check(backend: Backend, problem: Problem) -> Evidence:
    """Compare the outputs, and the parameters after one step of gradient descent on all samples, in float64."""
    problem = replace(problem, Y=_with_whole_targets(problem))
    estimator = _estimator(problem)
    model = backend.build(problem.network, problem.parameters)
    analysis, pairs, X = Analysis(problem.network, "float64"), exact_pairs(problem.parameters), exact(problem.X)
    outputs = analysis.forward(pairs, X).outputs
    evidence = [_judge("output beside scikit-learn's", _outputs(estimator, problem), outputs, model.forward(problem.X))]
    _step(estimator, problem)
    model.train(problem.X, problem.Y, epochs=1, learning_rate=LEARNING_RATE)
    _, trained = analysis.train(
        pairs,
        X,
        exact(problem.Y),
        steps=[slice(None)],
        epochs=1,
        learning_rate=LEARNING_RATE,
        bias_learning_rate=LEARNING_RATE,
        mean=True,
    )
    theirs = flat(list(zip(estimator.coefs_, estimator.intercepts_, strict=True)))
    ours = flat(model.parameters())
    evidence.append(_judge("parameter beside scikit-learn's", theirs, flat_bounded(trained), ours))
    return combined(evidence)


def _judge(what: str, theirs: Any, bounded: Bounded, ours: Any) -> Evidence:
    return bounded_target(what, "float64", Bounded(theirs, bounded.error), bounded).judge(ours)


def _with_whole_targets(problem: Problem) -> Any:
    match problem.network.output:
        case "softmax":
            return np.eye(problem.network.n_out)[problem.Y.argmax(axis=1)]
        case "sigmoid":
            return np.rint(problem.Y)
        case _:
            return problem.Y


def _estimator(problem: Problem) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    network = problem.network
    kind = MLPRegressor if network.output == "identity" else MLPClassifier
    estimator = kind(
        hidden_layer_sizes=network.layer_sizes[1:-1],
        activation=HIDDEN[network.hidden],
        solver="sgd",
        alpha=0.0,
        batch_size=len(problem.X),
        learning_rate_init=LEARNING_RATE,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        random_state=0,
    )
    _step(estimator, problem)  # the first call makes the arrays, which then take our coefficients
    for coefficients, intercepts, (W, b) in zip(
        estimator.coefs_, estimator.intercepts_, problem.parameters, strict=True
    ):
        coefficients[...], intercepts[...] = W, b
    return estimator


def _step(estimator: Any, problem: Problem) -> None:
    X, Y, network = problem.X, problem.Y, problem.network
    if network.output == "identity":
        estimator.partial_fit(X, Y if network.n_out > 1 else Y.ravel())
    elif network.n_out == 1:
        estimator.partial_fit(X, Y.ravel().astype(int), classes=[0, 1])
    elif network.output == "sigmoid":
        estimator.partial_fit(X, Y.astype(int), classes=range(network.n_out))
    else:
        estimator.partial_fit(X, Y.argmax(axis=1), classes=range(network.n_out))


def _outputs(estimator: Any, problem: Problem) -> Any:
    if problem.network.output == "identity":
        return estimator.predict(problem.X).reshape(problem.Y.shape)
    return estimator.predict_proba(problem.X)[:, -problem.network.n_out :]
