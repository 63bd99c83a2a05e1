"""The facts that the explanations of the tutorials state, and the training loop of the tutorials."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest

import impls
from bench.tutorials import circles, datasets, miniflow, quartic, reproduce, xor
from bench.tutorials.training import carry_out, difference


def test_circles_with_the_learning_rate_as_printed():
    """With correct gradients, a learning rate of 0.005 for all parameters gives other losses from iteration 1 on."""
    as_printed = replace(circles.circles_setting(circles.SEED), learning_rate=0.005, bias_learning_rate=None)
    losses = carry_out(as_printed, impls.load("numpy_vectorized")).losses
    assert f"{losses[0]:.8f}" == "693.62972747"
    assert f"{losses[1]:.8f}" != "693.62166655"


def exact_error(seed):
    """Error of the last epoch of the XOR program, in 60 digits and without code of the backends."""
    with mpmath.workdps(60):
        (W1, b1), (W2, b2) = [
            ([[mpmath.mpf(float(w)) for w in row] for row in W], [mpmath.mpf(float(bias)) for bias in b])
            for W, b in xor.xor_setting(seed).parameters
        ]
        rate = mpmath.mpf(0.1)
        for _ in range(1000):
            total = mpmath.mpf(0)
            for x, y in (((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 0)):
                h = [mpmath.tanh(x[0] * W1[0][j] + x[1] * W1[1][j] + b1[j]) for j in range(3)]
                a = mpmath.tanh(sum(h[j] * W2[j][0] for j in range(3)) + b2[0])
                total += (a - y) ** 2
                delta = 2 * (a - y) * (1 - a * a)
                inner = [delta * W2[j][0] * (1 - h[j] ** 2) for j in range(3)]
                for j in range(3):
                    W2[j][0] -= rate * delta * h[j]
                    b1[j] -= rate * inner[j]
                    for i in range(2):
                        W1[i][j] -= rate * inner[j] * x[i]
                b2[0] -= rate * delta
        return float(total / 4)


def perturbed(setting, random):
    """The setting with every initial parameter changed by one unit in the last place, up or down."""
    parameters = [
        tuple(np.nextafter(array, random.choice([-np.inf, np.inf], array.shape)) for array in pair)
        for pair in setting.parameters
    ]
    return replace(setting, parameters=parameters)


@pytest.mark.slow
def test_the_seeds_whose_result_depends_on_rounding():
    backend = impls.load("numba_simd")
    random = np.random.default_rng(0)
    growth = {}
    for seed in xor.SEEDS:
        setting = xor.xor_setting(seed)
        run = carry_out(setting, backend)
        growth[seed] = max(difference(carry_out(perturbed(setting, random), backend), run) for _ in range(3))
    assert {seed for seed, grown in growth.items() if grown > reproduce.AGREEMENT} == set(xor.SENSITIVE)
    assert set(xor.UNDECIDED) <= set(xor.SENSITIVE)


@pytest.mark.slow
def test_exact_arithmetic_finds_49_seeds_that_learn():
    backend = impls.load("numba_simd")
    robust = [seed for seed in xor.SEEDS if seed not in xor.SENSITIVE]
    errors = {seed: xor.error(carry_out(xor.xor_setting(seed), backend)) for seed in robust}
    for seed in (xor.SEED, xor.STUCK):
        assert errors[seed] == pytest.approx(exact_error(seed), rel=1e-9)
    errors |= {seed: exact_error(seed) for seed in xor.SENSITIVE}
    assert sum(error < xor.LEARNT for error in errors.values()) == 49


def test_the_quartic_stops_where_a_plain_loop_does():
    x, step = 6.0, 1.0
    while step > 0.00001:
        before = x
        x -= 0.01 * (4 * x**3 - 9 * x**2)
        step = abs(x - before)
    assert quartic.descend() == pytest.approx(x, rel=1e-12)


def test_sgd_draws_its_batches_anew_in_every_epoch():
    setting = miniflow.regression(datasets.diabetes)(0)
    assert setting.batches.shape == (100, 40, 11)
    assert str(setting.network) == "10-10-1"
    run = carry_out(replace(setting, epochs=2), impls.load("numpy_vectorized"))
    model = impls.load("numpy_plain").build(setting.network, setting.parameters)
    for epoch in range(2):  # one update at a time
        losses = []
        for rows in setting.batches[epoch]:
            losses += model.train(setting.X[rows], setting.Y[rows], epochs=1, learning_rate=0.01).tolist()
        assert run.losses[epoch] == pytest.approx(np.mean(losses), rel=1e-12)
    assert len(np.unique(setting.batches[0])) < setting.batches[0].size  # with replacement
    for data in datasets.diabetes():
        np.testing.assert_allclose(
            [data.mean(axis=0), data.var(axis=0)], [[0] * data.shape[1], [1] * data.shape[1]], atol=1e-12
        )


def test_a_budget_ends_a_training_early():
    setting = replace(circles.circles_setting(circles.SEED), stops=(0, 3, 10))
    run = carry_out(setting, impls.load("numpy_vectorized"), seconds=0)
    assert len(run.losses) == 3
    assert list(run.watched) == [0]
    assert not run.reached(None)
    assert run.reached(3)
    whole = carry_out(setting, impls.load("numpy_vectorized"))
    assert len(whole.losses) == 150
    assert list(whole.watched) == [0, 3, 10]
    assert difference(run, whole) == 0


def test_difference_is_the_largest_and_infinite_for_nan():
    run, other = (carry_out(xor.xor_setting(22), impls.load("numpy_vectorized")) for _ in range(2))
    other.losses[500] *= 1 + 1e-6
    assert difference(run, other) == pytest.approx(1e-6, rel=1e-5)
    other.losses[500] = math.nan
    assert difference(run, other) == math.inf
    other.losses[500] = math.inf
    run.losses[500] = math.inf
    assert difference(run, other) == math.inf
