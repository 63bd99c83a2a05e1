"""The probes of the roofline in a worker process, with few samples and small arrays."""

from bench.roofline import probes
from bench.roofline.probes import probe_machine


def probe_quickly(cases):
    """In a worker: the limits for some cases, measured as usual, but less often. The rates mean nothing."""
    probes.SAMPLES = 2
    probes.SQUARES = (32,)
    probes.SIZES = (1 << 14, 1 << 15)
    probes._beyond_caches = lambda: 1 << 20
    return probe_machine(cases)
