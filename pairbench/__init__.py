"""Paired timing: interleaved samples in fresh processes, ratios with intervals, and a sequential test for regressions.

The package does not know the code under test. A *workload* (``workload.py``) provides the callable that is timed and
checks its results.
"""
