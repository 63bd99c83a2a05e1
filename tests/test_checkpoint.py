"""Checkpoints: when they are resumed, dropped or refused, and what happens if they cannot be written."""

import json

import pytest

from bench.checkpoint import Checkpoint, source_digest
from bench.records import files
from bench.records.files import RecordError
from bench.records.scale_schema import ScaleState
from bench.records.speed_schema import SpeedState
from impls import load
from tests.helpers import timing_row as row

SETTINGS = {"machine": {"cpu": "µ"}, "backends": ["graph"]}


def a_state(*rows, settings=SETTINGS, started="first"):
    lists = {"rows": list(rows), "not_run": [], "compile": [], "processes": []}
    return ScaleState(settings=settings, started=started, bisections=0, **lists)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def checkpoint(tmp_path, messages):
    return Checkpoint(tmp_path / "results", "scale", ScaleState, messages.append)


def test_without_a_checkpoint_a_run_begins_anew(checkpoint, messages):
    assert checkpoint.begin(a_state(), resume=False) == a_state()
    assert messages == []
    assert checkpoint.begin(a_state(), resume=True) == a_state()
    assert messages == [f"there is no unfinished scale in {checkpoint.path.parent} to resume; starting a new one"]


def test_resume_continues_from_the_saved_state(checkpoint, messages):
    checkpoint.save(a_state(row()))
    assert checkpoint.begin(a_state(started="second"), resume=True) == a_state(row())
    assert messages == ["resuming the scale that was started at first"]
    assert checkpoint.path.exists()


def test_without_resume_the_saved_state_is_kept_under_another_name_until_the_run_ends(checkpoint, messages):
    checkpoint.save(a_state(row()))
    assert checkpoint.begin(a_state(started="second"), resume=False) == a_state(started="second")
    kept = checkpoint.path.with_name("scale.partial.old.json")
    assert messages == [f"starting a new scale; until it ends, the unfinished one, started at first, is kept as {kept}"]
    assert not checkpoint.path.exists()
    assert files.read(kept, ScaleState).rows == [row()]
    checkpoint.save(a_state(started="second"))
    checkpoint.clear()
    assert list(kept.parent.iterdir()) == []


def test_the_error_names_differing_settings_and_the_file_is_kept(checkpoint):
    checkpoint.save(a_state(row()))
    with pytest.raises(RecordError, match="it was written with other backends; choose another results folder, or"):
        checkpoint.begin(a_state(settings={**SETTINGS, "backends": []}), resume=True)
    assert checkpoint.begin(a_state(), resume=True) == a_state(row())


@pytest.mark.parametrize(
    "change", [lambda data: data | {"started": "later"}, lambda data: data["rows"][0].update(seconds=3e-6) or data]
)
def test_a_changed_checkpoint_is_recognized_by_its_digest(checkpoint, change):
    checkpoint.save(a_state(row()))
    checkpoint.path.write_text(json.dumps(change(json.loads(checkpoint.path.read_text()))))
    with pytest.raises(RecordError, match="is damaged: its content does not match its digest; remove it, or"):
        checkpoint.check(resume=True)


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "mlpbench.run/2"}', '{"schema": "x"}'])
def test_a_file_that_is_no_checkpoint_is_refused_and_kept(checkpoint, content, resume):
    checkpoint.path.parent.mkdir()
    checkpoint.path.write_text(content)
    with pytest.raises(RecordError, match=r"scale\.partial\.json .*; remove it, or choose another results folder"):
        checkpoint.check(resume)
    with pytest.raises(RecordError, match=r"scale\.partial\.json"):
        checkpoint.begin(a_state(), resume)
    assert checkpoint.path.read_text() == content


def test_a_folder_in_place_of_a_checkpoint_is_refused(checkpoint):
    checkpoint.path.mkdir(parents=True)
    with pytest.raises(RecordError, match=r"json is not a regular file; remove it, or"):
        checkpoint.check(resume=False)


def test_a_damaged_checkpoint_is_refused_with_resume_and_renamed_without(checkpoint, messages):
    checkpoint.save(a_state())
    damaged = json.loads(checkpoint.path.read_text()) | {"rows": 5}
    checkpoint.path.write_text(json.dumps(damaged))
    with pytest.raises(RecordError, match=r"is not a valid mlpbench\.scale-state/4 document: rows"):
        checkpoint.check(resume=True)
    checkpoint.check(resume=False)
    checkpoint.begin(a_state(), resume=False)
    assert messages == [f"starting a new scale; until it ends, the unfinished one is kept as {checkpoint.replaced}"]
    assert json.loads(checkpoint.replaced.read_text()) == damaged


def test_an_unwritable_folder_is_reported_once_and_the_run_continues(tmp_path, messages):
    (tmp_path / "results").write_text("a file")
    checkpoint = Checkpoint(tmp_path / "results", "scale", ScaleState, messages.append)
    for number in range(3):
        checkpoint.save(a_state(*[row()] * number))
    assert len(checkpoint.state.rows) == 2
    (line,) = messages
    assert line.endswith("the scale continues, but cannot be resumed")


def test_an_interruption_says_what_was_saved_and_names_resume(checkpoint, messages):
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted; nothing was saved$"), checkpoint.resumable():
        raise KeyboardInterrupt
    checkpoint.save(a_state())
    with (
        pytest.raises(
            KeyboardInterrupt, match=r"^interrupted; .*partial\.json has the results so far; to continue, repeat"
        ),
        checkpoint.resumable(),
    ):
        raise KeyboardInterrupt
    assert messages == []  # the command line prints the text of the exception


def test_every_command_has_its_own_checkpoint_file(tmp_path, messages):
    other = Checkpoint(tmp_path, "speed", SpeedState, messages.append)
    other.save(SpeedState(settings={}, started="", seed=1))
    assert other.path.name == "speed.partial.json"
    other.clear()
    assert list(tmp_path.iterdir()) == []


def test_the_source_digest_covers_a_third_partys_module(tmp_path, monkeypatch, third_party):
    third_party("digested")
    backend = load("digested")
    before = source_digest([backend])
    assert before == source_digest([backend])
    assert before != source_digest([])
    path = next((tmp_path / "packages").glob("digested*.py"))
    path.write_text(path.read_text() + "# changed\n")
    assert source_digest([backend]) != before
