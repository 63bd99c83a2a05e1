"""A worker process for functions of others: ``python -m pairbench.function_worker`` does one ``FunctionJob``.

Unlike ``pairbench.worker`` it does not guard against functions that try to deceive the measurement.
"""

from __future__ import annotations

import pickle
import sys
from random import Random

from pairbench import own_tree, timer, worker_connection
from pairbench.error_text import describe_error
from pairbench.function_timer import Evidence, FunctionTimer
from pairbench.functions import CompareError
from pairbench.machine import Meter
from pairbench.tracing import MonitoringError
from pairbench.worker_protocol import Done, FunctionJob, FunctionTimes, Refused, Starting

ENDLESS = sys.maxsize


def main() -> None:
    """Do the job that standard input gives."""
    send = worker_connection.connect_to_parent()
    own_tree.guard_only("pairbench")
    job: FunctionJob = pickle.load(sys.stdin.buffer)
    sys.path[:] = job.path
    try:
        functions = pickle.loads(job.functions)
    except Exception as error:
        send(Refused(f"a fresh process cannot import the functions: {describe_error(error)}"))
        return
    meter = Meter.start()
    timed = FunctionTimer(functions, job.collection, Random(job.seed), lambda arm, step: send(Starting(arm, step)))
    try:
        timed.check()
        timed.warm_up()
        timed.extend(ENDLESS, timer.seconds_now() + job.seconds)
    except (CompareError, MonitoringError) as error:
        send(Refused(str(error)))
        return
    samples = {arm: [tuple(reading) for reading in readings] for arm, readings in timed.samples.items()}
    evidence = {arm: [*map(_pickled, pairs)] for arm, pairs in timed.evidence.items()}
    send(FunctionTimes(samples, evidence, timed.failures, dict(timed.remarks)))
    send(Done(meter.read(), []))


def _pickled(pair: Evidence) -> bytes | None:
    try:
        return pickle.dumps(tuple(pair))
    except Exception:
        return None


if __name__ == "__main__":
    main()
