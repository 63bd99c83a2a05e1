"""``REV...``: the merge base of REV and HEAD, in whole and in shallow clones of a remote whose branches went on."""

import re
import shutil
import subprocess

import pytest

from pairbench import lock
from pairbench.worktrees import Checkout, WorktreeError
from tests.gates import git
from tests.helpers import one_line_error


def commit(root, name):
    """Commit a change to impls/ that names itself."""
    (root / "impls").mkdir(exist_ok=True)
    (root / "impls" / "__init__.py").write_text(f"# {name}\n")
    (root / "constraints.txt").write_text(f"numpy=={name}\n")
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message", name, cwd=root)
    git("tag", name, cwd=root)


def commit_of(root, revision):
    done = subprocess.run(["git", "rev-parse", revision], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a repository, ``origin``, and a bare copy of it, ``remote.git``."""
    root = tmp_path_factory.mktemp("repositories") / "origin"
    root.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    for name in ("m1", "m2"):
        commit(root, name)
    git("checkout", "--quiet", "-b", "topic", cwd=root)
    for name in ("t1", "t2"):
        commit(root, name)
    git("checkout", "--quiet", "main", cwd=root)
    for name in ("m3", "m4"):
        commit(root, name)
    push(root)
    return root.parent


@pytest.fixture
def origin(folder, tmp_path):
    """A repository with a bare copy, ``remote.git``: main m1-m2-m3-m4, from whose m2 topic t1-t2 branches off."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "origin"


def push(root):
    git("init", "--quiet", "--bare", "../remote.git", cwd=root)
    git("push", "--quiet", "../remote.git", "+main", "+topic", cwd=root)


def clone(origin, *arguments, branch="topic"):
    """A clone of the remote, without tags, with a branch checked out."""
    remote, root = origin.with_name("remote.git"), origin.with_name("clone")
    git("clone", "--quiet", "--no-tags", "--branch", branch, *arguments, f"file://{remote}", str(root), cwd=origin)
    return root


def named_command(error):
    """The command of an error's line."""
    assert str(error).count("\n") == 0
    found = re.search(r"with: (git fetch .+)$", str(error))
    assert found, error
    return found.group(1)


@pytest.mark.parametrize("revision", ["origin/main...", "origin/main...HEAD"])
def test_the_base_is_where_the_branch_left_the_target_and_not_its_tip(origin, revision):
    checkout = Checkout(clone(origin), "impls")
    assert checkout.revision("origin/main").files == {"impls/__init__.py": b"# m4\n"}
    base = checkout.revision(revision)
    assert base.files == {"impls/__init__.py": b"# m2\n"}
    assert base.commit == commit_of(origin, "m2")
    assert base.title == f"the merge base with origin/main ({base.commit[:10]})"
    assert checkout.text_at(revision, "constraints.txt") == "numpy==m2\n"
    assert checkout.changed_pins(revision) == {"numpy": ("m2", "t2")}


def test_the_base_follows_when_the_branch_merges_the_target(origin):
    root = clone(origin)
    git("merge", "--quiet", "--strategy=ours", "origin/main~1", cwd=root)
    assert Checkout(root, "impls").revision("origin/main...").files == {"impls/__init__.py": b"# m3\n"}


def test_on_the_target_itself_the_base_is_the_head(origin):
    root = clone(origin, branch="main")
    assert Checkout(root, "impls").revision("origin/main...").digest == Checkout(root, "impls").working_tree().digest


@pytest.mark.parametrize("name", ["nosuch...", "...", "...HEAD", "main....", "main...topic", "main..HEAD"])
def test_only_a_revision_and_the_head_have_a_merge_base(origin, name):
    root = clone(origin)
    with pytest.raises(WorktreeError, match="git does not know the revision"):
        Checkout(root, "impls").revision(name)


def test_histories_without_a_common_commit_have_no_merge_base(origin):
    root = clone(origin)
    git("checkout", "--quiet", "--orphan", "apart", cwd=root)
    commit(root, "apart")
    with pytest.raises(WorktreeError, match=r"HEAD and origin/main have no commit in common; name another revision$"):
        Checkout(root, "impls").revision("origin/main...")


@pytest.mark.parametrize("revision", ["origin/main...", "origin/main", "HEAD~1"])
def test_a_shallow_clone_without_the_revision_says_what_to_fetch(origin, revision):
    root = clone(origin, "--depth", "1")
    with pytest.raises(WorktreeError, match=r"^git does not know the revision .*; this clone is shallow") as caught:
        Checkout(root, "impls").revision(revision)
    subprocess.run(named_command(caught.value), shell=True, check=True, cwd=root, capture_output=True)
    expected = {"origin/main...": b"# m2\n", "origin/main": b"# m4\n", "HEAD~1": b"# t1\n"}[revision]
    assert Checkout(root, "impls").revision(revision).files == {"impls/__init__.py": expected}


def test_a_shallow_clone_without_the_merge_base_says_what_to_fetch(origin):
    root = clone(origin, "--depth", "1", "--no-single-branch")
    checkout = Checkout(root, "impls")
    assert checkout.revision("origin/main").files == {"impls/__init__.py": b"# m4\n"}
    with pytest.raises(WorktreeError, match=r"^HEAD and origin/main have no commit in common; this clone is") as caught:
        checkout.revision("origin/main...")
    subprocess.run(named_command(caught.value), shell=True, check=True, cwd=root, capture_output=True)
    assert checkout.revision("origin/main...").files == {"impls/__init__.py": b"# m2\n"}


def test_the_remote_of_the_revision_is_named(origin):
    root = clone(origin, "--depth", "1", "--origin", "upstream")
    with pytest.raises(WorktreeError) as caught:
        Checkout(root, "impls").revision("upstream/main...")
    subprocess.run(named_command(caught.value), shell=True, check=True, cwd=root, capture_output=True)
    assert Checkout(root, "impls").revision("upstream/main...").files == {"impls/__init__.py": b"# m2\n"}


def test_a_shallow_clone_with_the_merge_base_needs_no_more(origin):
    root = clone(origin, "--depth", "3", "--no-single-branch")
    assert Checkout(root, "impls")._shallow_commits() == {commit_of(origin, "m2")}
    assert Checkout(root, "impls").revision("origin/main...").files == {"impls/__init__.py": b"# m2\n"}


def test_a_common_commit_that_may_not_be_the_last_one_is_refused(origin):
    """HEAD left main at m4, and merged a branch of m1. The clone has m1, but not how HEAD comes from m4."""
    git("checkout", "--quiet", "-B", "topic", "m4", cwd=origin)
    for name in ("u1", "u2"):
        commit(origin, name)
    git("checkout", "--quiet", "-b", "old", "m1", cwd=origin)
    commit(origin, "o1")
    git("checkout", "--quiet", "topic", cwd=origin)
    git("merge", "--quiet", "--strategy=ours", "old", cwd=origin)
    push(origin)
    root = clone(origin, "--depth", "3")
    git("fetch", "--quiet", "--depth", "4", "origin", "main:refs/remotes/origin/main", cwd=root)
    wrong = subprocess.run(
        ["git", "merge-base", "origin/main", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    )
    assert wrong.stdout.strip() == commit_of(origin, "m1")  # what git says, which is too early
    with pytest.raises(WorktreeError, match="cannot tell the last commit that HEAD and origin/main have") as caught:
        Checkout(root, "impls").revision("origin/main...")
    subprocess.run(named_command(caught.value), shell=True, check=True, cwd=root, capture_output=True)
    assert Checkout(root, "impls").revision("origin/main...").commit == commit_of(origin, "m4")


def test_the_gate_prints_the_line(origin, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(clone(origin, "--depth", "1"))
    # A lock of its own, so that the test does not wait for a gate outside of it.
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(tmp_path))
    line = one_line_error(capsys, "gate", "--against", "origin/main...")
    assert line == (
        "mlpbench: git does not know the revision 'origin/main'; this clone is shallow, and what it lacks comes with: "
        "git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'"
    )
