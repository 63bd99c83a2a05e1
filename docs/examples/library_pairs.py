"""Arguments for the functions of other libraries that library-pairs.md compares."""

import json

import numpy as np

GAPS = np.random.default_rng(1).random(1_000_000)
GAPS[::10] = np.nan


def document():
    """A JSON text of 1000 records, about 65 kB."""
    records = [{"id": n, "name": f"item {n}", "price": n / 8, "tags": ["a", "b"]} for n in range(1000)]
    return (json.dumps(records),)


def with_gaps():
    """10,000 numbers, every tenth of which is missing."""
    return (GAPS[:10_000],)


def with_many_gaps():
    """1,000,000 numbers, every tenth of which is missing."""
    return (GAPS,)


def scalar():
    """One number."""
    return (2.5,)
