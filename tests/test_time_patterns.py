"""Remarks on times: a trend, two modes, an effect of the order; and none on plain noise."""

from random import Random

import numpy as np
import pytest

from pairbench.function_timer import Reading
from pairbench.interleave import balanced_orders
from pairbench.time_patterns import remarks
from tests.helpers import assert_one_line

ARMS = ["reference", "A/A", "f", "g"]


def made_up(blocks, seed, effect=lambda arm, block, before: 1.0, noise=0.02):
    """Readings in balanced order, of 1 ms with lognormal noise, multiplied by an effect."""
    generator = np.random.default_rng(seed)
    orders = balanced_orders(len(ARMS), Random(seed))
    samples = {arm: [] for arm in ARMS}
    for block, order in zip(range(blocks), orders, strict=False):
        before = ""
        for position, arm in enumerate(ARMS[index] for index in order):
            seconds = 1e-3 * generator.lognormal(0, noise) * effect(arm, block, before)
            samples[arm].append(Reading(block, position, before, seconds, 0.0, 0.0))
            before = arm
    return samples


def all_remarks(samples):
    return {arm: found for arm in ARMS if arm != "A/A" and (found := remarks(samples, arm))}


def test_noise_gets_no_remark():
    found = [all_remarks(made_up(120, seed, noise=noise)) for seed in range(20) for noise in (0.01, 0.2)]
    assert sum(map(bool, found)) <= 1


def test_few_samples_get_no_remark():
    assert all_remarks(made_up(10, 0, lambda arm, block, before: 2.0**block)) == {}


@pytest.mark.parametrize("arm", ["f", "reference"])
def test_a_function_that_gets_slower_as_it_goes_is_noticed(arm):
    found = all_remarks(made_up(200, 1, lambda one, block, before: 1 + 0.5 * block / 199 * (one == arm)))
    assert [*found] == [arm]
    [text] = found[arm]
    percent = int(text.split("by ")[1].split(" %")[0])
    assert "gets slower" in text
    assert percent == pytest.approx(50, abs=8)


def test_a_function_that_gets_faster_is_noticed():
    found = all_remarks(made_up(200, 1, lambda arm, block, before: 2 - block / 199 * (arm == "g")))
    assert "gets faster" in found["g"][0]


def test_a_drift_of_the_machine_is_no_trend_of_a_function():
    found = all_remarks(made_up(200, 1, lambda arm, block, before: 1 + block / 199))
    assert not any("slower" in text for texts in found.values() for text in texts)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_modes_are_noticed(share):
    random = np.random.default_rng(5)
    found = all_remarks(
        made_up(200, 2, lambda arm, block, before: 1.5 if arm == "f" and random.random() < share else 1)
    )
    assert [*found] == ["f"]
    [text] = found["f"]
    assert "two modes" in text
    low = int(text.split(": ")[1].split(" %")[0])
    assert low == pytest.approx(100 * (1 - share), abs=10)
    (fast, fast_unit), (slow, slow_unit) = (part.split()[:2] for part in text.replace(",", "").split("about ")[1:])
    assert float(fast) * {"µs": 1e-6, "ms": 1e-3}[fast_unit] == pytest.approx(1e-3, rel=0.05)
    assert (float(slow), slow_unit) == (pytest.approx(1.5, rel=0.05), "ms")


def test_single_slow_samples_are_no_mode():
    random = np.random.default_rng(5)
    assert all_remarks(made_up(200, 2, lambda arm, block, before: 3 if random.random() < 0.05 else 1)) == {}


def test_a_function_that_depends_on_what_ran_before_is_noticed():
    found = all_remarks(made_up(200, 3, lambda arm, block, before: 1.3 if (arm, before) == ("f", "g") else 1))
    texts = " ".join(found["f"])
    assert "depends on the order of the calls: after g it takes" in texts
    assert "g" not in found


def test_a_remark_is_one_line():
    for texts in all_remarks(made_up(200, 1, lambda arm, block, before: 1 + block / 99 * (arm == "f"))).values():
        for text in texts:
            assert_one_line(text)
