"""Worktrees with the sources of revisions and of the working tree."""

import os
import shutil
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from pairbench import worktrees
from pairbench.worktrees import Checkout, Revision, WorktreeError
from tests.gates import git


@pytest.fixture
def repository(tmp_path, monkeypatch):
    root = tmp_path / "repository"
    package = root / "impls"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("# one\n")
    (package / "backend.py").write_text("speed = 1\n")
    (root / ".gitignore").write_text("*.log\n")
    (root / "constraints.txt").write_text("# pinned\nnumpy==2.1.0\nscipy==1.14.0\n")
    git("init", "--quiet", cwd=root)
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message", "first", cwd=root)
    monkeypatch.chdir(package)
    return root


def test_the_working_tree_includes_uncommitted_changes(repository):
    assert Checkout.find("impls").root == repository
    base = Checkout(repository, "impls").revision("HEAD")
    assert base.files == {"impls/__init__.py": b"# one\n", "impls/backend.py": b"speed = 1\n"}
    clean = Checkout(repository, "impls").working_tree()
    assert (clean.digest, clean.commit) == (base.digest, base.commit)
    (repository / "impls" / "backend.py").write_text("speed = 2\n")  # not committed
    (repository / "impls" / "new.py").write_text("")  # not added to git
    (repository / "impls" / "noise.log").write_text("ignored")
    (repository / "impls" / "__init__.py").unlink()
    changed = Checkout(repository, "impls").working_tree()
    assert changed.files == {"impls/backend.py": b"speed = 2\n", "impls/new.py": b""}
    assert changed.commit is None
    assert changed.digest != base.digest
    assert Checkout(repository, "impls").revision("HEAD") == base


def test_links_and_odd_names_have_the_same_digest_before_and_after_commit(repository):
    (repository / "impls" / "link.py").symlink_to("backend.py")
    (repository / "impls" / "b\u00e4ck end.py").write_text("speed = 3\n")
    Path(os.fsdecode(os.fsencode(str(repository / "impls")) + b"/\xff.py")).write_text("speed = 4\n")
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "odd", cwd=repository)
    assert Checkout(repository, "impls").working_tree().commit is not None
    assert Checkout(repository, "impls").working_tree().digest == Checkout(repository, "impls").revision("HEAD").digest
    assert len(Checkout(repository, "impls").working_tree().files) == 4


def test_the_digest_depends_on_names_and_contents():
    contents = (
        {"a": b"12", "b": b"3"},
        {"a": b"1", "b": b"23"},
        {"b": b"12", "a": b"3"},
        {"a": b"12"},
        {"a": b"12", "b3": b""},
    )
    assert len({Revision("", None, "impls", files).digest for files in contents}) == len(contents)


@pytest.mark.parametrize("name", ["nosuch", "HEAD~5", "", "-x", "HEAD:impls", "--help"])
def test_an_unknown_revision_is_an_error(repository, name):
    with pytest.raises(WorktreeError, match="git does not know the revision"):
        Checkout(repository, "impls").revision(name)


def test_a_repository_without_a_commit_has_a_hint_of_its_own(tmp_path):
    (tmp_path / "code.py").write_text("speed = 1\n")
    git("init", "--quiet", cwd=tmp_path)
    with pytest.raises(WorktreeError, match=r"'HEAD'; the branch has no commit yet$"):
        Checkout(tmp_path, "").working_tree()


def test_a_revision_without_impls_is_an_error(repository, tmp_path, monkeypatch):
    git("rm", "-r", "--quiet", "impls", cwd=repository)
    git("commit", "--quiet", "--message", "gone", cwd=repository)
    with pytest.raises(WorktreeError, match="HEAD does not contain impls/"):
        Checkout(repository, "impls").revision("HEAD")
    monkeypatch.chdir(repository)
    with pytest.raises(WorktreeError, match="does not contain impls/"):
        Checkout.find("impls")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorktreeError, match="needs a git checkout"):
        Checkout.find("impls")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WorktreeError, match="git is not installed"):
        Checkout.find("impls")


def test_worktrees_of_all_sides_are_equal_reused_and_repaired(repository, tmp_path):
    store, base = tmp_path / "store", Checkout(repository, "impls").revision("HEAD")
    places = [worktrees.lay_out(store, base, side).path for side in worktrees.SLOTS]
    assert len(set(places)) == 3
    assert len({len(str(place)) for place in places}) == 1
    for place in places:
        files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
        assert {name for name in files if "__pycache__" not in name} == set(base.files)
        sources = [path for name, path in files.items() if name.endswith(".py")]
        assert sources
        assert all(Path(cache_from_source(str(path))).is_file() for path in sources)
    compiled = places[1] / "impls" / "__pycache__" / "kept.nbc"
    compiled.write_text("compiled")
    # Python would run these instead of the source.
    planted = Path(cache_from_source(str(places[1] / "impls" / "backend.py")))
    of_no_source = planted.with_name("other.cpython-311.pyc")
    planted.write_bytes(b"planted")
    of_no_source.write_bytes(b"planted")
    (places[1] / "impls" / "backend.py").write_text("changed")
    (places[1] / "impls" / "stray.py").write_text("stray")
    assert worktrees.lay_out(store, base, "base").path == places[1]
    assert compiled.read_text() == "compiled"
    assert planted.read_bytes() != b"planted"
    assert not of_no_source.exists()
    assert (places[1] / "impls" / "backend.py").read_bytes() == base.files["impls/backend.py"]
    assert not (places[1] / "impls" / "stray.py").exists()
    shutil.rmtree(places[0])
    shutil.rmtree(places[2])
    assert (
        worktrees.lay_out(store, base, "control").path / "impls" / "__pycache__" / "kept.nbc"
    ).exists()  # copied from another worktree, with the compiled code


def test_compiled_code_of_other_settings_is_in_another_folder(repository, tmp_path, monkeypatch):
    base = Checkout(repository, "impls").revision("HEAD")
    plain = worktrees.lay_out(tmp_path, base, "base").path
    monkeypatch.setenv("NUMBA_OPT", "1")
    assert worktrees.lay_out(tmp_path, base, "base").path != plain
    monkeypatch.delenv("NUMBA_OPT")
    assert worktrees.lay_out(tmp_path, base, "base").path == plain


def test_stale_worktrees_are_removed_and_the_latest_kept(repository, tmp_path):
    store = tmp_path / "store"
    stale = store / f"{worktrees.UNFINISHED}abc"
    stale.mkdir(parents=True)
    for number in range(worktrees.KEPT + 3):
        place = worktrees.lay_out(
            store, Revision("", None, "impls", {"impls/__init__.py": b"%d" % number}), "head"
        ).path
        os.utime(place.parent, (number, number))
    worktrees.remove_stale(store)
    assert not stale.exists()
    kept = sorted(int((path / "h" / "impls" / "__init__.py").read_text()) for path in store.iterdir())
    assert kept == list(range(3, worktrees.KEPT + 3))


def test_a_folder_that_cannot_be_created_is_an_error(repository, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(WorktreeError, match="cannot lay out HEAD"):
        worktrees.lay_out(tmp_path / "store", Checkout(repository, "impls").revision("HEAD"), "base")


def test_changed_pins_are_listed(repository):
    (repository / "constraints.txt").write_text("numpy==2.2.0\nscipy==1.14.0\nnumba==0.61.0\n")
    assert Checkout(repository, "impls").changed_pins("HEAD") == {
        "numba": (None, "0.61.0"),
        "numpy": ("2.1.0", "2.2.0"),
    }


def test_a_hook_in_a_linked_worktree_measures_that_worktree(repository, tmp_path, monkeypatch):
    linked = tmp_path / "linked"
    git("worktree", "add", "--quiet", str(linked), cwd=repository)
    monkeypatch.chdir(linked / "impls")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git" / "worktrees" / "linked"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "none"))
    checkout = Checkout.find("impls")
    assert checkout.root == linked
    assert checkout.working_tree().commit is not None


def test_attributes_for_archives_change_no_side(repository):
    (repository / ".gitattributes").write_text("impls/backend.py export-ignore\nimpls/__init__.py export-subst\n")
    (repository / "impls" / "__init__.py").write_text("# $Format:%H$\n")
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "attributes", cwd=repository)
    checkout = Checkout(repository, "impls")
    assert checkout.revision("HEAD").files == {
        "impls/__init__.py": b"# $Format:%H$\n",
        "impls/backend.py": b"speed = 1\n",
    }
    assert checkout.working_tree().commit is not None


def test_a_sparse_checkout_is_not_a_changed_one(repository):
    git("sparse-checkout", "set", "--no-cone", "/impls/__init__.py", cwd=repository)
    assert not (repository / "constraints.txt").exists()
    assert not (repository / "impls" / "backend.py").exists()
    checkout = Checkout(repository, "impls")
    assert checkout.changed_pins("HEAD") == {}
    assert checkout.working_tree().commit is not None
    assert checkout.revision("HEAD").files.keys() == {"impls/__init__.py", "impls/backend.py"}


def test_the_line_of_git_with_the_reason_is_shown(repository, tmp_path, monkeypatch):
    program = tmp_path / "git"
    program.write_text(
        "#!/bin/sh\necho 'warning: x\nfatal: detected dubious ownership\n\n\tgit config --global x' >&2; exit 128\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(WorktreeError, match=r"needs a git checkout of the project: fatal: detected dubious ownership$"):
        Checkout.find("impls")
