"""Proof of equality and measurement of time for the backends in ``impls``; the command line is ``bench.cli``."""
