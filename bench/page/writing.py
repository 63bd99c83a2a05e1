"""Writes the page: the entries and the charts, put into the template with its style and its scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.page import charts, findings, timings
from bench.page.charts import HistoryPoint
from bench.page.marks import Spec
from bench.page.sources import Sources
from bench.page.timings import Entry
from bench.records import files
from bench.report import tables
from pairbench.visible_text import visible_data

NAME = "index.html"


def write(folder: Path, sources: Sources, history: Sequence[HistoryPoint] = (), changes: Sequence[str] = ()) -> Path:
    """Write the page into a folder, and return its path. Raises RecordError if it cannot be written."""
    files.make_folder(folder)
    path = folder / NAME
    files.write_bytes(path, page(sources, history, changes).encode())
    return path


def page(sources: Sources, history: Sequence[HistoryPoint] = (), changes: Sequence[str] = ()) -> str:
    """The page as HTML, in one file without references to others. ``changes``: a sentence for each change point."""
    environment = Environment(
        loader=PackageLoader("bench.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    script = _script()
    return environment.get_template("page.html.jinja").render(
        **visible_data(content(sources, history) | {"changes": list(changes)}),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        # Only this script runs. A script that got into the page in another way has another digest.
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def content(sources: Sources, history: Sequence[HistoryPoint] = ()) -> dict[str, Any]:
    """What the page shows, by the name in the template: entries for tables, and the charts."""
    entries = timings.timing_entries(sources.run) if sources.run else []
    panels = timings.speedup_entries(entries)
    measured = sources.run if sources.run and sources.run.roofline else sources.speed
    roofline = timings.roofline_entries(measured.rows) if measured else []
    growth = findings.growth_entries(sources.scale) if sources.scale else []
    rates = findings.rate_entries(sources.error_rates) if sources.error_rates else []
    compiled = timings.compile_entries(sources.run) if sources.run else []
    specs = _timing_charts(entries, panels)
    if growth:
        largest = max(entry["size"] for entry in growth)
        fastest = min((entry for entry in growth if entry["size"] == largest), key=lambda entry: entry["seconds"])
        specs["growth-times"] = charts.growth_times(growth, fastest["backend"])
        specs["growth-speedups"] = charts.growth_speedups(growth, fastest["backend"])
    if compiled:
        specs["compile-times"] = charts.compile_times(compiled)
    if measured and roofline:
        fastest = max(roofline, key=lambda entry: entry["rate"])
        peaks = timings.peak_entries(measured.roofline)
        specs["roofline-rates"] = charts.roofline(roofline, peaks, fastest["dtype"], fastest["backend"])
    if rates:
        specs["operating-curves"] = charts.operating_curves(rates, rates[0]["recording"], rates[0]["rule"])
    if history:
        followed = {point.case for point in history}
        case = next((entry["case"] for entry in entries if entry["case"] in followed), history[0].case)
        fastest_point = max((point for point in history if point.case == case), key=lambda point: point.speedup)
        specs["history-speedups"] = charts.history(history, case, fastest_point.backend)
    return {
        # Neither an interval nor a network is broken between lines.
        "headline": re.findall(r"\[[^]]*\]\S*|\S+", timings.headline(panels)),
        "panels": panels,
        "entries": entries,
        "doubtful": any(entry["speedup_text"].endswith(tables.DOUBTFUL) for entry in entries),
        "cases": _distinct(entries, "case"),
        "compiled": compiled,
        "break_even": timings.break_even_entries(entries),
        "growth": growth,
        "growing": _distinct(growth, "backend"),
        "dimensions": _distinct(growth, "dimension"),
        "crossovers": findings.crossover_entries(sources.scale) if sources.scale else [],
        "roofline": roofline,
        "bounded": _distinct(roofline, "backend"),
        "dtypes": _distinct(roofline, "dtype"),
        "figures": findings.figure_entries(sources.tutorials) if sources.tutorials else {},
        "remarks": sources.tutorials.remarks if sources.tutorials else {},
        "score": findings.score_sentences(sources.tutorials) if sources.tutorials else [],
        "proof": findings.proof_sentence(sources.verify) if sources.verify else "",
        "rates": rates,
        "rules": _distinct(rates, "rule"),
        "recordings": _distinct(rates, "recording"),
        "courses": list(dict.fromkeys(point.case for point in history)),
        "followed": list(dict.fromkeys(point.backend for point in history)),
        "measured": findings.provenance(sources),
        "charts": specs,
    }


def _timing_charts(entries: Sequence[Entry], panels: Sequence[Sequence[Entry]]) -> dict[str, Spec]:
    if not any(entry["speedup"] for entry in entries):
        return {}
    both = [entry for panel in panels for entry in panel]
    specs = {
        f"speedups-{number}": charts.speedups(panel, panel[0]["case"], both, f"Speedups of {panel[0]['case']}.")
        for number, panel in enumerate(panels, 1)
    }
    case = entries[0]["case"]
    specs["gains"] = charts.gains(entries, case)
    specs["speeds"] = charts.speedups(entries, case, entries, "The speedup of each backend.")
    specs["errors"] = charts.errors(entries, case)
    return specs


def _distinct(entries: Sequence[Entry], field: str) -> list[Any]:
    return list(dict.fromkeys(entry[field] for entry in entries))


def _asset(name: str) -> str:
    return resources("bench.page").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """The page's script with Vega, Vega-Lite and Vega-Embed."""
    return str(vl_convert.javascript_bundle(_asset("page.js")))
