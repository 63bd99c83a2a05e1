"""A second, independent oracle: scikit-learn's multilayer perceptron with the same coefficients.

scikit-learn supports logistic, tanh and ReLU hidden layers. It supports identity outputs with the squared error,
logistic outputs with the binary cross-entropy, and softmax outputs with the categorical cross-entropy; the targets of
a cross-entropy are 0 or 1. One call of ``partial_fit`` is one step of gradient descent on the mean loss. scikit-learn
has rounding errors like any backend, so the two results may differ by the bounds of both.
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
    """Whether scikit-learn supports the network."""
    return OUTPUTS.get(network.output) == network.loss


def check(backend: Backend, problem: Problem) -> Evidence:
    """Compare the outputs, and the parameters after one step of gradient descent on all samples, in float64."""
    problem = replace(problem, Y=_rounded_targets(problem))
    estimator = _estimator(problem)
    model = backend.build(problem.network, problem.parameters)
    analysis, pairs, X = Analysis(problem.network, "float64"), exact_pairs(problem.parameters), exact(problem.X)
    outputs = analysis.forward(pairs, X).outputs
    evidence = [
        _judge("output (compared with scikit-learn)", _outputs(estimator, problem), outputs, model.forward(problem.X))
    ]
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
    expected = flat(list(zip(estimator.coefs_, estimator.intercepts_, strict=True)))
    computed = flat(model.parameters())
    evidence.append(_judge("parameter (compared with scikit-learn)", expected, flat_bounded(trained), computed))
    return combined(evidence)


def _judge(quantity: str, expected: Any, bounded: Bounded, computed: Any) -> Evidence:
    return bounded_target(quantity, "float64", Bounded(expected, bounded.error), bounded).judge(computed)


def _rounded_targets(problem: Problem) -> Any:
    """Targets that scikit-learn accepts: 0 or 1 for a cross-entropy."""
    match problem.network.output:
        case "softmax":
            return np.eye(problem.network.n_out)[problem.Y.argmax(axis=1)]
        case "sigmoid":
            return np.rint(problem.Y)
        case _:
            return problem.Y


def _estimator(problem: Problem) -> Any:
    """A scikit-learn estimator with the parameters of the problem."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    network = problem.network
    estimator_class = MLPRegressor if network.output == "identity" else MLPClassifier
    estimator = estimator_class(
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
    _step(estimator, problem)  # the first call allocates the arrays that receive the coefficients
    for coefficients, intercepts, (W, b) in zip(
        estimator.coefs_, estimator.intercepts_, problem.parameters, strict=True
    ):
        coefficients[...], intercepts[...] = W, b
    return estimator


def _step(estimator: Any, problem: Problem) -> None:
    """Take one step of gradient descent on all samples."""
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
