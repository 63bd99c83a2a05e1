"""How much faster each version is than sorting every window, and whether it still is.

``pytest`` compares the results, ``pytest --paired`` also times, and ``pytest --paired-against=REV`` compares the times
of each candidate with those of another revision.
"""

from bench.data import make
from moving_median import compiled, loops, vectorized

CANDIDATES = {
    "loops": loops.moving_median,
    "numpy": vectorized.moving_median,
    "numba": compiled.moving_median,
}


def sort_each(values, window):
    """The medians by their definition: each window is sorted anew."""
    series = values.tolist()
    return [sorted(series[start : start + window])[window // 2] for start in range(len(series) - window + 1)]


def test_every_version_pays(paired):
    """Each version is worth its effort."""
    # A gate spends this budget. Without one, each assertion ends as soon as it is decided, long before.
    result = paired(reference=sort_each, candidates=CANDIDATES, args=make(), budget=40)
    result.assert_equal(rtol=0)
    result.assert_speedup("loops", at_least=1.5)
    result.assert_speedup("numpy", at_least=2)
    result.assert_speedup("numba", at_least=10)
