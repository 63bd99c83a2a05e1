"""The rows of a run on a cluster: merged over the machines of a bucket, and compared between buckets."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.cluster_schema import CaseResult, ClusterRow, SpreadRow
from bench.records.sample_table import ArmKey, SampleTable
from bench.records.schema import Ratio, TimingRow
from pairbench.measure import AA_CONTROL
from pairbench.random_effects import random_effects


def cluster_rows(results: Sequence[CaseResult], cases: Sequence[str]) -> list[ClusterRow]:
    """A row for each bucket, case and arm; the buckets by name, the cases in this order.

    A process counts the same on whichever machine of the bucket it ran. An arm that failed on one machine has failed.
    """
    return [
        row
        for bucket in sorted({result.bucket for result in results})
        for case in cases
        if (members := [result for result in results if (result.bucket, result.case) == (bucket, case)])
        for row in _merged(members, bucket)
    ]


def spread_rows(results: Sequence[CaseResult], cases: Sequence[str]) -> list[SpreadRow]:
    """A row for each case and arm that was timed in several buckets, with two processes in each of them or more."""
    rows = []
    for case in cases:
        by_bucket: dict[str, list[CaseResult]] = {}
        for result in results:
            if result.case == case:
                by_bucket.setdefault(result.bucket, []).append(result)
        if len(by_bucket) < 2:
            continue
        tables = [_table(members) for members in by_bucket.values()]
        first = next(iter(by_bucket.values()))[0]
        for row in first.rows:
            if row.arm in (row.reference, AA_CONTROL):
                continue
            reference = _reference(first.rows, row)
            units = [table.log_ratios((reference.case, reference.arm), (row.case, row.arm)) for table in tables]
            if (effects := random_effects([unit for unit in units if unit])) is not None:
                rows.append(
                    SpreadRow(
                        **row.case.fields(),
                        backend=row.backend,
                        arm=row.arm,
                        buckets=sum(map(bool, units)),
                        speedup=Ratio.of(effects.ratio),
                        between=effects.between,
                        share=effects.share,
                    )
                )
    return rows


def _merged(members: Sequence[CaseResult], bucket: str) -> list[ClusterRow]:
    """The rows of a case in a bucket, from its results on one machine or on several."""
    table, rows = _table(members), []
    for row in members[0].rows:
        same = [other for member in members for other in member.rows if _key(other) == _key(row)]
        failed = [other for other in same if not other.ok]
        reference, key = _reference(members[0].rows, row), _key(row)
        speedup = table.ratio(_key(reference), key)
        fields = {
            **dict(row),
            "seconds": table.seconds(key),
            "speedup": None if speedup is None else Ratio.of(speedup),
            "ulps": _largest([other.ulps for other in same]),
            "share": _largest([other.share for other in same]),
            "ok": not failed,
            "reason": failed[0].reason if failed else row.reason,
            "remarks": list(dict.fromkeys(remark for other in same for remark in other.remarks)),
        }
        rows.append(
            ClusterRow(
                **fields,
                bucket=bucket,
                machines=list(dict.fromkeys(member.machine for member in members)),
                disturbances=list(
                    dict.fromkeys(
                        text for member in members for process in member.processes for text in process.disturbances
                    )
                ),
            )
        )
    return rows


def _table(members: Sequence[CaseResult]) -> SampleTable:
    processes = [process for member in members for process in member.processes]
    return SampleTable(processes, {_key(row) for member in members for row in member.rows if not row.ok})


def _key(row: TimingRow) -> ArmKey:
    return row.case, row.arm


def _reference(rows: Sequence[TimingRow], row: TimingRow) -> TimingRow:
    return next(other for other in rows if other.arm == row.reference)


def _largest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
