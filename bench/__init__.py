"""Proof of equality and measurement of time for the backends in ``impls``."""
