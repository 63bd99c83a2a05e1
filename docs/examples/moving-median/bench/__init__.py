"""The benchmarks of this project: tests that also time."""
