"""The last step of a command: the results are stored and shown."""

import errno
import os

import click
import pytest

from bench.commands import baseline, output
from bench.records import files, schema
from bench.records.gate_schema import Baseline
from pairbench.cli.destinations import Destinations

LISTING = schema.Listing(command="backends", machine={}, rows=[])


@pytest.fixture
def full_disk(monkeypatch):
    """Let every file that is written find the disk full when its content should reach it."""

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", refuse)


def test_a_full_disk_at_the_last_write_is_one_line_and_the_figures_are_shown(tmp_path, capsys, full_disk):
    def store():
        files.write(tmp_path / "results.json", LISTING)
        return ["results: stored"]

    with pytest.raises(click.ClickException, match=r"^cannot write .*results\.json: No space left on device$"):
        output.store_and_show(store, LISTING, Destinations(), ["the table"], ["a note"])
    assert capsys.readouterr().out == "the table\na note\n"
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_cannot_be_added_to_the_baseline_is_shown(tmp_path, capsys, full_disk):
    path = tmp_path / "baseline.json"
    path.write_text("as before")
    with pytest.raises(click.ClickException, match=r"baseline\.json: No space left on device$"):
        baseline._store_and_show(path, Baseline(buckets=[]), LISTING, Destinations(), ["the session"])
    assert capsys.readouterr().out == "the session\n"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"baseline.json": "as before"}
