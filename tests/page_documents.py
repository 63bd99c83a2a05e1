"""Small made-up documents of every kind that a report shows."""

from bench.page.charts import HistoryPoint
from bench.page.sources import Sources
from bench.records.error_rate_schema import ErrorRateRecord, ErrorRateRow, ErrorRates
from bench.records.scale_schema import CrossoverRow, Scale, ScaleRow
from bench.records.schema import CompileRow, MutantRow, Proof, ProofRow, Ratio, RooflineRow, Run, SourceRecord
from bench.records.tutorial_schema import TutorialRow, Tutorials
from tests.helpers import timing_row

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\u2028\u202e\x1b[31m'\"{{7*7}}"
SMALL, LARGE = [3, 3, 1], [100, 100, 50, 10]
SECONDS = {
    "python_loops": (8e-6, 4e-3),
    "numpy_plain": (20e-6, 100e-6),
    "numpy_vectorized": (12e-6, 50e-6),
    "numba_simd": (1.4e-6, 15e-6),
}
"""Seconds of one sample on the small and on the large network, by backend."""
COLD, CACHED = 4.0, 0.5
MACHINE = {"cpu": "a processor", "cpus": 2, "cpus_usable": 2, "python": "3.11.7", "environment": {}, "cpu_quota": None}
CASE = {"hidden": "sigmoid", "output": "sigmoid", "loss": "half_squared_error", "dtype": "float64", "threads": 1}
CASE |= {"epochs": 1, "batches": None}


def ratio(estimate):
    return Ratio(estimate=estimate, low=estimate * 0.98, high=estimate * 1.02)


def header(command):
    source = SourceRecord(folder="/a", commit="0123456789abcdef", changed=False, other_checkout=None)
    times = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00"}
    return {"command": command, "version": "0", "machine": MACHINE, "source": source, **times}


def timings(layer_sizes, operation="forward", batch=1, factor=1.0, **changes):
    """The rows of a case, with the A/A control."""
    column = 0 if layer_sizes == SMALL else 1
    reference = SECONDS["python_loops"][column] * factor
    rows = []
    for backend in (*SECONDS, "A/A"):
        seconds = reference if backend == "A/A" else SECONDS[backend][column] * factor
        fields = {
            "backend": "python_loops" if backend == "A/A" else backend,
            "arm": backend,
            "layer_sizes": layer_sizes,
            "operation": operation,
            "batch": batch,
            "seconds": seconds,
            "speedup": ratio(reference / seconds),
            "lower_bound_seconds": seconds / 2,
            "roofline_share": 0.5,
        }
        rows.append(timing_row(**(fields | changes)))
    return rows


def run(rows=None, **changes):
    if rows is None:
        cases = [("forward", 1, 1.0), ("forward", 64, 30.0), ("gradient", 64, 90.0)]
        rows = [row for sizes in (SMALL, LARGE) for case in cases for row in timings(sizes, *case)]
    limits = [RooflineRow(what="products", detail="512 × 512 × 512", dtype="float64", per_second=2e10)]
    compiled = [CompileRow(backend="numba_simd", network="3-3-1", cold_seconds=COLD, cached_seconds=CACHED)]
    fields = {"options": {}, "effort": {}, "seed": 1, "compile": compiled, "roofline": limits, "processes": []}
    return Run(**(header("run") | fields | {"rows": rows} | changes))


def hostile_run():
    """A run with hostile text wherever a text is free."""
    rows = timings(SMALL, backend=HOSTILE, arm=HOSTILE, reason=HOSTILE) + timings(LARGE)
    compiled = [CompileRow(backend=HOSTILE, network=HOSTILE, cold_seconds=1.0, cached_seconds=0.1)]
    machine = {"cpu": HOSTILE, "environment": {HOSTILE: HOSTILE}, "cpus": HOSTILE, "cpu_quota": [HOSTILE]}
    return run(rows, compile=compiled, machine=machine)


def scale():
    rows = [
        ScaleRow(
            **CASE,
            layer_sizes=[size] * 3,
            operation="forward",
            batch=1,
            dimension=dimension,
            value=size,
            backend=backend,
            arm=backend,
            seconds=seconds * size,
            predicted_seconds=None,
            speedup=ratio(SECONDS["python_loops"][0] / seconds * size),
            ulps=0.5,
            share=0.1,
            ok=True,
            reason="",
        )
        for dimension in ("width", "depth")
        for size in (1, 4, 16)
        for backend, (seconds, _) in SECONDS.items()
    ]
    crossover = {"faster_below": "python_loops", "faster_above": "numpy_plain", "undecided": []}
    crossovers = [CrossoverRow(dimension="width", left=6, right=7, **crossover)]
    parts = {"ties": [], "break_even": [], "processes": [], "options": {}, "effort": {}}
    return Scale(**header("scale"), rows=rows, crossovers=crossovers, **parts)


def tutorials():
    def row(**fields):
        return TutorialRow(document="xor", part="2-3-1", kind="figure", form="rounded", **fields)

    rows = [
        row(figure="output", printed="0.835", backend="numpy_plain", value=0.83546, ok=True),
        row(figure="loss", printed="0.25", backend="numpy_plain", value=0.31, ok=False),
        row(figure="output", printed="0.835", backend="numba_simd", value=0.83546, ok=True),
    ]
    return Tutorials(**header("tutorials"), options={}, rows=rows, remarks={})


def verify():
    passed = ProofRow(
        **CASE, layer_sizes=SMALL, operation="forward", batch=1, backend="numpy_plain", ulps=0.5, share=0.1, ok=True,
        reason="",
    )  # fmt: skip
    mutants = [MutantRow(mutant="m", description="", killed=True, reason="forward")]
    return Proof(**header("verify"), rows=[passed, passed], mutants=mutants)


def error_rates():
    def rates(failed):
        return {"FAIL": ErrorRateRecord(count=failed, runs=50, low=failed / 60, high=min(1, failed / 45))}

    rows = [
        ErrorRateRow(recording=recording, rule=rule, planted=planted, measured=planted, rates=rates(failed))
        for recording in ("idle", "loaded")
        for rule in ("gate, 5 %, 1 row", "asv Mann-Whitney, 1.1")
        for planted, failed in ((0.0, 0), (0.05, 20), (0.2, 50))
    ]
    return ErrorRates(command="error-rates", version="0", machine=MACHINE, budget=120.0, rows=rows, curve=[])


def sources():
    """A document of each kind but ``speed``."""
    return Sources(
        run=run(), scale=scale(), tutorials=tutorials(), verify=verify(), error_rates=error_rates()
    )  # fmt: skip


def history():
    return [
        HistoryPoint("forward 3-3-1, 1 sample, float64", backend, f"2026-01-{day:02}T00:00:00Z", "0a1b2c", *speedup)
        for day in (1, 8, 15)
        for backend, speedup in (("numba_simd", (5.7 + day / 20, 5.6, 7.2)), ("numpy_plain", (0.4, 0.39, 0.41)))
    ]
