import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.records import files, schema
from bench.records.files import RecordError
from tests.helpers import timing_row as row


def a_run(*rows):
    return schema.Run(
        command="run",
        version="0",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        machine={"cpu": "µ"},
        options={},
        effort={},
        seed=1,
        rows=list(rows),
        compile=[],
        roofline=[],
        processes=[],
    )


RUN = a_run(row())
REQUIRED_FIELDS = {
    *("backend", "layer_sizes", "hidden", "output", "loss", "operation", "batch", "dtype"),
    *("seconds", "speedup", "ulps", "ok"),
}


@given(st.floats(1e-12, 1e9), st.one_of(st.none(), st.floats(0, 1e300)))
def test_a_stored_document_is_read_back(tmp_path_factory, seconds, ulps):
    folder = tmp_path_factory.mktemp("results")
    run = a_run(row(seconds=seconds, ulps=ulps))
    path = files.write_run_and_latest(folder, run)
    assert files.read(path, schema.Run) == run


def test_latest_json_names_the_last_of_two_kept_files(tmp_path):
    first, second = files.write_run_and_latest(tmp_path, RUN), files.write_run_and_latest(tmp_path, RUN)
    latest = json.loads((tmp_path / "latest.json").read_text())
    assert latest == {"schema": "mlpbench.latest/1", "file": second.name}
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "latest.json", first, second])
    assert re.fullmatch(r"run-\d{8}T\d{6}Z-[0-9a-f]{6}\.json", first.name)


def test_a_timing_row_has_the_required_fields():
    document = json.loads(files.dumps(RUN))
    assert next(iter(document)) == "schema"
    assert document["schema"] == "mlpbench.run/2"
    assert document["rows"][0].keys() >= REQUIRED_FIELDS
    assert set(document["rows"][0]["speedup"]) == {"estimate", "low", "high"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["seconds", "ulps", "share"])
def test_no_nan_and_no_infinity(field, value):
    with pytest.raises(ValidationError, match=rf"\n{field}\n"):
        row(**{field: value})


@pytest.mark.parametrize(
    "change", [{"batch": "1"}, {"seconds": "1"}, {"unknown": 1}, {"ok": 1}, {"layer_sizes": "3-3-1"}]
)
def test_no_conversions_and_no_unknown_fields(change):
    (field,) = change
    with pytest.raises(ValidationError, match=rf"^1 validation error for TimingRow\n{field}\n"):
        row(**change)


def changed(**changes):
    return json.dumps(json.loads(files.dumps(RUN)) | changes)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is not JSON"),
        (files.dumps(RUN)[:-20], "is not JSON"),
        ("\xff", "is not JSON"),
        ("[1, 2]", "is not an mlpbench document"),
        ('{"schema": "other/1"}', "is not an mlpbench document"),
        ('{"schema": "mlpbench.latest/1", "file": "a"}', "has the schema mlpbench.latest/1; expected mlpbench.run/2"),
        (changed(seed="x"), "seed: Input should be a valid integer"),
        (changed(rows=[{}]), "rows.0.layer_sizes: Field required"),
        (changed(extra=1), "extra: Extra inputs are not permitted"),
    ],
)
def test_the_error_names_a_corrupt_or_foreign_file_and_the_reason(tmp_path, content, text):
    path = tmp_path / "file.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RecordError) as caught:
        files.read(path, schema.Run)
    assert str(path) in str(caught.value)
    assert text in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"cannot read .*nothing.json: No such file"):
        files.read(tmp_path / "nothing.json", schema.Run)


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write(path, RUN)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RecordError, match="No space left on device"):
        files.write(path, a_run())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "file.json", RUN)
    assert not list(tmp_path.iterdir())


def test_unfinished_files_of_killed_processes_are_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = tmp_path / f"{files.UNFINISHED}{ended.pid}-abc"
    (tmp_path / f"{files.UNFINISHED}{'9' * 30}-abc").touch()
    others = [tmp_path / f"{files.UNFINISHED}{os.getpid()}-abc", tmp_path / f"{files.UNFINISHED}x-abc"]
    for path in (stale, *others):
        path.touch()
    files.remove_unfinished(tmp_path)
    assert not stale.exists()
    assert all(path.exists() for path in others)
    files.remove_unfinished(tmp_path / "nosuch")


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    files.write(tmp_path / "file.json", RUN)
    (tmp_path / "other").touch()
    assert (tmp_path / "file.json").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_results_folder_is_made(tmp_path):
    files.check_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "mlpbench.latest/1"}', files.dumps(RUN)])
def test_a_foreign_latest_json_is_refused(tmp_path, content):
    latest = tmp_path / "latest.json"
    latest.write_text(content)
    with pytest.raises(RecordError, match=re.escape(str(latest))):
        files.check_folder(tmp_path)
    assert latest.read_text() == content


def test_a_results_folder_that_cannot_be_created_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "results"):
        with pytest.raises(RecordError, match="cannot make the folder"):
            files.check_folder(folder)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def fail(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(RecordError, match=r"cannot write into .*: Permission denied"):
        files.check_folder(tmp_path)


def test_a_destination_may_be_new_or_a_document_of_the_same_kind(tmp_path):
    files.check_destination(tmp_path / "new.json", schema.Run)
    files.write(tmp_path / "old.json", RUN)
    files.check_destination(tmp_path / "old.json", schema.Run)
    files.check_destination(Path("new.json"), schema.Run)


def test_a_destination_that_is_no_document_is_refused(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for path, text in (
        (notes, "is not JSON; the file is not overwritten"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "file.json", "there is no folder"),
    ):
        with pytest.raises(RecordError, match=text):
            files.check_destination(path, schema.Run)
    assert notes.read_text() == "mine"
