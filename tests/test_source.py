"""Which copy of the project was measured stands in the results; a warning tells of another current checkout."""

import pytest

from bench.records import source as module
from bench.records.header import header
from bench.records.remarks import remarks
from bench.records.source import source
from tests.gates import git
from tests.helpers import ROOT


def checkout(folder):
    for package in module.PACKAGES:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("")
    git("init", "--quiet", cwd=folder)
    git("add", ".", cwd=folder)
    git("commit", "--quiet", "--message", "all", cwd=folder)
    return folder.resolve()


def test_folder_commit_and_changes_are_stored(tmp_path, monkeypatch):
    root = checkout(tmp_path / "here")
    monkeypatch.setattr(module, "PROJECT", root)
    monkeypatch.chdir(root / "impls")
    found = header("run", "")["source"]
    assert (found.folder, found.changed, found.other_checkout) == (str(root), False, None)
    assert len(found.commit) == 40
    (root / "notes.txt").write_text("not measured")
    assert not source().changed
    (root / "impls" / "new.py").write_text("")
    assert source().changed


def test_outside_of_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    inner = checkout(tmp_path / "outer") / "site-packages"  # a copy that is installed inside of another checkout
    inner.mkdir()
    monkeypatch.setattr(module, "PROJECT", inner)
    assert (source().folder, source().commit, source().changed) == (str(inner), None, None)


@pytest.mark.parametrize("is_project", [True, False])
def test_another_checkout_of_the_project_gets_a_warning(tmp_path, monkeypatch, is_project):
    other = checkout(tmp_path / "other")
    if not is_project:
        (other / "bench" / "__init__.py").unlink()
        (other / "bench").rmdir()
    monkeypatch.chdir(other)
    found = source()
    assert found.folder == str(ROOT)
    assert found.other_checkout == (str(other) if is_project else None)
    said = remarks({}, found)
    assert [str(other) in text and str(ROOT) in text for text in said] == [True] * is_project
