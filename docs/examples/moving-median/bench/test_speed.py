"""How much faster each version is than sorting every window.

``pytest`` compares the results, ``pytest --paired`` also times, and ``pytest --paired-against=REV`` compares the times
of each candidate with those of another revision, which spends the budgets.
"""

from bench.data import make
from moving_median import loops, vectorized


def sort_each(values, window):
    """The medians by their definition: each window is sorted anew."""
    series = values.tolist()
    return [sorted(series[start : start + window])[window // 2] for start in range(len(series) - window + 1)]


def test_loops_and_numpy_pay(paired):
    """Both are worth their effort."""
    candidates = {"loops": loops.moving_median, "numpy": vectorized.moving_median}
    result = paired(reference=sort_each, candidates=candidates, args=make(), budget=25)
    result.assert_equal(rtol=0)
    result.assert_speedup("loops", at_least=1.5)
    result.assert_speedup("numpy", at_least=2)


def test_numba_pays(paired):
    """Numba is worth the time in which it is imported, and its code compiled.

    A gate imports Numba in every process, so this test has processes of its own.
    """
    from moving_median import compiled

    result = paired(reference=sort_each, candidates={"numba": compiled.moving_median}, args=make(), budget=15)
    result.assert_equal(rtol=0)
    result.assert_speedup("numba", at_least=10)
