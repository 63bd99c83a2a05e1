"""Paired timing: interleaved samples in fresh processes, ratios with intervals, and a sequential test for regressions.

The package knows nothing of what it times. A *workload* (``workload.py``) gives it a callable and judges the results.
"""
