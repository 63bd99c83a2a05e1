"""The rows of a document as CSV: one flat table, with the fields of a row as columns.

A ratio takes three columns, which are the estimate and the ends of its interval. Counts of slow processes and of
instructions take a column each. Numbers have all their digits, and the cell of a null is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from bench.records.error_rate_schema import ErrorRateRecord
from bench.records.gate_schema import CountRecord, SlowProcessesRecord
from bench.records.schema import Ratio, Record
from pairbench.visible_text import visible

FORMULA = ("=", "+", "-", "@")
"""What begins a formula in a spreadsheet. Tabs and carriage returns, which may stand before it, are escaped."""


def dumps(document: Record) -> str:
    """The rows of a document as CSV, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(type(document)))
    rows: Sequence[Record] = dict(document)["rows"]
    writer.writerows([value for _, value in _cells(type(row), row)] for row in rows)
    return text.getvalue()


def columns(kind: type[Record]) -> list[str]:
    """The names of the columns of a kind of document."""
    (row,) = get_args(kind.model_fields["rows"].annotation)
    return [name for name, _ in _cells(row, None)]


def _cells(kind: type[Record], record: Record | None) -> Iterator[tuple[str, object]]:
    """The name and the cell of every column; the cells are empty without a record."""
    for name, field in kind.model_fields.items():
        value, types = getattr(record, name, None), (field.annotation, *get_args(field.annotation))
        if Ratio in types:
            yield name, getattr(value, "estimate", None)
            yield from ((f"{name}_{end}", getattr(value, end, None)) for end in ("low", "high"))
        elif ErrorRateRecord in types:
            for verdict in get_args(types[1]):
                for part, number in _cells(ErrorRateRecord, value and value[verdict]):
                    yield f"{verdict}_{part}", number
        elif counts := next((kind for kind in (SlowProcessesRecord, CountRecord) if kind in types), None):
            yield from ((f"{name}_{part}", count) for part, count in _cells(counts, value))
        elif name == "layer_sizes" and value is not None:
            yield name, "-".join(map(str, value))
        else:
            yield name, _cell(value)


def _cell(value: Any) -> object:
    """A value as a cell. Text is visible, and an apostrophe before it keeps a spreadsheet from running it."""
    match value:
        case str():
            text = visible(value)
            return f"'{text}" if text.startswith(FORMULA) else text
        case list():
            return "; ".join("" if element is None else str(_cell(element)) for element in value)
        case dict():
            return _cell([f"{key} {element}" for key, element in value.items()])
        case _:
            return value
