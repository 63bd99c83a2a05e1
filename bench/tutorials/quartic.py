"""Gradient descent on x⁴ - 3x³ + 2 with the nodes of ``graph``, an example in two tutorials. The minimum is at 2.25."""

from __future__ import annotations

from bench.tutorials.programs import Computation, Figure
from impls.graph import Add, Input, Mul, backward, forward, sgd_update, topological_sort


def descend() -> float:
    """Descend from x = 6 with learning rate 0.01 until a step is at most 0.00001, and return x."""
    x = Input("x", 6.0)
    order = topological_sort(Add(Mul(x, x, x, x), Mul(Input("-3", -3.0), x, x, x), Input("2", 2.0)))
    step = 1.0
    while step > 0.00001:
        before = x.value
        forward(order)
        backward(order)
        sgd_update([x], learning_rate=0.01)
        step = abs(x.value - before)
    return float(x.value)


COMPUTATION = Computation(
    "gradient descent on x⁴ - 3x³ + 2",
    descend,
    [Figure("minimum", "2.249965", lambda x: x)],
    by_graph=True,
)
