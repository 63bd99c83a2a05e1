"""Every timing mutant gets no time, for the reason that its fault should give, and an honest backend gets one."""

import re

import pytest

from bench import timing_proof
from bench.proof.timing_mutants import TIMING_MUTANTS

pytestmark = pytest.mark.slow

OUTPUT = r"^output\[\d+, \d+\] is \S+, not "
REASONS = dict.fromkeys(TIMING_MUTANTS, OUTPUT) | {
    "ByContent": r"^answers repeated inputs from a cache: new inputs take \d+\.\d times as long$",
    "BySpacing": rf"{OUTPUT}|^answers repeated inputs from a cache",  # its last results look like those of a cache
    "OtherClock": r"^replaces pairbench\.timer\.time_calls$",
    "SlowedReference": r"^replaces impls\.python_loops\.Model\._forward_batch$",
}


@pytest.mark.parametrize("name", TIMING_MUTANTS)
def test_a_timing_mutant_gets_no_time(name):
    assert re.search(REASONS[name], timing_proof.reason_for_no_time(name))


def test_an_honest_backend_gets_a_time(monkeypatch):
    monkeypatch.setattr(timing_proof, "TimingMutantWorkload", timing_proof.CaseWorkload)
    assert timing_proof.reason_for_no_time("numpy_plain") == ""
