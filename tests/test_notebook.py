"""Networks and documents in a notebook, and the notebook of the documentation."""

import os
import re
import shlex
from html import unescape

import pytest

from bench.records import schema
from bench.report import contents, terminal
from impls import Network
from tests.helpers import ROOT, TINY_EFFORT, timing_row
from tests.test_csv_rows import ROWS, document_of

NOTEBOOK = ROOT / "docs" / "example.ipynb"


def plain(html):
    """The text of HTML that a browser shows."""
    return unescape(re.sub("<[^>]*>", "", html))


def comparison(**changes):
    rows = [timing_row(arm=name, backend=name, **changes) for name in ("numpy_plain", "graph")]
    return document_of(schema.Comparison, rows).model_copy(update={"options": {"a": "numpy_plain", "b": "graph"}})


def test_a_network_shows_its_layers():
    html = Network((4, 3, 2), "tanh", "softmax", "categorical_cross_entropy")._repr_html_()
    assert "Network 4-3-2, loss categorical_cross_entropy, 23 parameters" in html
    cells = [re.findall("<td>(.*?)</td>", row) for row in html.split("<tr>")[2:]]
    assert cells == [["4 → 3", "tanh", "15"], ["3 → 2", "softmax", "8"]]


def test_a_document_shows_the_tables_of_the_terminal():
    document = comparison()
    assert plain(document._repr_html_()).startswith(terminal.rendered(*contents.contents(document)))
    run = document_of(schema.Run, [timing_row()]).model_copy(update={"compile": [], "roofline": []})
    assert "2.00 [1.90, 2.10]" in run._repr_html_()
    assert "forward 3-3-1, 1 sample, float64" in run._repr_html_()
    assert timing_row()._repr_html_() is None


def test_a_proof_and_a_listing_show_hostile_text_as_text():
    proof = document_of(schema.Proof).model_copy(update={"mutants": [], "timing_mutants": []})
    assert "mutants: 0 of 0 killed" in proof._repr_html_()
    assert "<b>" in "".join(row.reason for row in ROWS[schema.Listing])
    for document in (document_of(schema.Listing), comparison(ok=False, seconds=None, reason="<b>red\x1b[31m</b>")):
        html = document._repr_html_()
        assert set(re.findall(r"</?(\w+)", html)) <= {"pre", "span"}
        assert all(character.isprintable() or character == "\n" for character in html)


def test_the_notebook_is_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.fixture
def jupyter_folders(tmp_path, monkeypatch):
    """Let Jupyter keep its files in a temporary folder, and find this project and ``mlpbench`` with little effort."""
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    for name in folders:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mlpbench").write_text(f'#!/bin/sh\nexec {shlex.join(TINY_EFFORT)} "$@"\n')
    (programs / "mlpbench").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
@pytest.mark.usefixtures("jupyter_folders")
def test_the_notebook_runs_and_ends_with_a_picture(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    example, network, results, picture = (cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    assert "".join(output.text for output in example).count("[0.83545566]") == 3
    assert "16 parameters" in network[0].data["text/html"]
    assert "time of numpy_plain ÷ time of numba_jit" in results[-1].data["text/html"]
    assert "image/png" in picture[-1].data
