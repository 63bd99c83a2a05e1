"""Made-up times in place of those that ``mlpbench scale`` measures."""

from bench.case_measurement import CaseMeasurement
from bench.scale import growth
from pairbench.measure import TimingProcess
from pairbench.worker_protocol import Sample, TimedGroup


def make_up_times(monkeypatch, seconds):
    """Let ``seconds`` give the time of each arm; an arm without a time fails. Returns the list of timed groups."""
    groups = []

    def measure(given, effort, seed, progress, compiling=()):
        groups.extend(given)
        failures = {arm: "wrong" for group in given for arm in group if seconds(arm) is None}
        timed = [
            TimedGroup(
                group,
                results={},
                records={},
                remarks={},
                seconds={},
                samples={arm: [Sample(0, 0, 1, seconds(arm))] for arm in group if arm not in failures},
                failures={},
            )
            for group in given
        ]
        processes = [TimingProcess(seed, timed), TimingProcess(seed, timed)]
        return CaseMeasurement(given, failures=failures, processes=processes)

    monkeypatch.setattr(growth, "measure_cases", measure)
    return groups
