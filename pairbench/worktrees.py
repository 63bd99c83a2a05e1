"""Worktrees: folders that hold a package at a revision. They are kept, with their caches, for later gates.

The worktrees of a revision are in a folder named by the digest of its files and of the settings in the environment, one
for each side. They are copies of each other, with paths of equal length. A worktree is written under a temporary name,
and renamed when it is complete.
"""

from __future__ import annotations

__all__ = ["STORE", "Checkout", "Revision", "Worktree", "WorktreeError", "lay_out", "remove_stale"]

import compileall
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pairbench import environment
from pairbench.forked_processes import ForkServer, StartingServer
from pairbench.gate_protocol import MODULE
from pairbench.git import GitError, run_git
from pairbench.worker_processes import Worker, start_server, start_worker

STORE = Path(".mlpbench") / "gate"
"""Folder of the worktrees, relative to the checkout."""
SLOTS = {"head": "h", "base": "a", "control": "b"}
"""Folder of each side. The names have the same length, and so have the paths."""
KEPT = 8
"""Number of revisions whose worktrees are kept, the most recently used."""
UNFINISHED = ".unfinished-"


class WorktreeError(ValueError):
    """A revision or worktree is not available; the message explains why in one line."""


@dataclass(frozen=True)
class Revision:
    """The files of a package, contents by path, and their origin; ``commit`` is None for uncommitted changes."""

    title: str
    commit: str | None
    package: str
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 digest of paths and contents, 40 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(os.fsencode(f"{name}\0{len(self.files[name])}\0"))
            digest.update(self.files[name])
        return digest.hexdigest()[:40]


@dataclass(frozen=True)
class Worktree:
    """A folder that holds one revision of a package, for the import path of a worker process."""

    path: Path
    package: str

    def check_present(self) -> None:
        """Raise WorktreeError if the package was removed."""
        if not _has_package(self.path, self.package):
            raise WorktreeError(f"the sources in {self.path} were removed during the measurement")

    def serve(self, libraries: Sequence[str]) -> AbstractContextManager[StartingServer]:
        """Start a fork server for the processes of all sides."""
        return start_server(libraries, MODULE)

    def start(self, server: ForkServer | None = None) -> AbstractContextManager[Worker]:
        """Start a fresh process of the gate that imports the package from here."""
        return start_worker(MODULE, self.package, path=[self.path], server=server)


@dataclass(frozen=True)
class Checkout:
    """A git checkout whose top folder ``root`` holds a package; with an empty name, the whole checkout is meant."""

    root: Path
    package: str

    @classmethod
    def find(cls, package: str = "") -> Checkout:
        """The checkout that contains the current folder. Raises WorktreeError if there is none with the package."""
        try:
            root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").decode().strip())
        except WorktreeError as error:
            raise WorktreeError(f"the gate needs a git checkout of the project: {error}") from None
        if package and not _has_package(root, package):
            raise WorktreeError(f"{root} does not contain {package}/: run the gate in a checkout of the project")
        return cls(root, package)

    def working_tree(self) -> Revision:
        """The working tree: tracked files as they are now, and new files that git does not ignore.

        A file that a sparse checkout leaves out is as it is in HEAD.
        """
        listing = _git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", self._place)
        # Python writes compiled files when it likes, and where git does not ignore them, they are no change.
        names = [name for name in os.fsdecode(listing).split("\0") if name and not name.endswith(".pyc")]
        files = {name: self.root / name for name in names}
        # ``revision`` leaves out symbolic links, too.
        contents = {name: path.read_bytes() for name, path in files.items() if path.is_file() and not path.is_symlink()}
        head = self.revision("HEAD")
        contents |= {name: head.files[name] for name in self._left_out(self._place) if name in head.files}
        if contents == head.files:
            return head
        return Revision("the working tree", None, self.package, contents)

    def revision(self, name: str) -> Revision:
        """The package at a revision of the repository. ``REV...`` is the merge base of REV and HEAD, as in git diff.

        Raises WorktreeError if git or the revision does not have it.
        """
        commit = self._commit(name)
        if self.package and not _git(self.root, "ls-tree", "--full-tree", commit, "--", f"{self.package}/"):
            raise WorktreeError(f"{name} does not contain {self.package}/; name another revision")
        # The files are written as a checkout writes them, not as ``git archive`` does: the attributes export-ignore and
        # export-subst would make a clean working tree differ from its own commit.
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
            whole = ("-c", "core.sparseCheckout=false")
            tree = f"{commit}:{self.package}"
            prefix = [f"--prefix={self.package}/"] if self.package else []
            _git(self.root, *whole, "read-tree", *prefix, tree, variables=index)
            _git(self.root, *whole, "checkout-index", "--all", f"--prefix={folder}/tree/", variables=index)
            top = Path(folder, "tree")
            files = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
            contents = {path.relative_to(top).as_posix(): path.read_bytes() for path in files}
        tip = _forked_from(name)
        title = name if tip is None else f"the merge base with {tip}"
        return Revision(f"{title} ({commit[:10]})", commit, self.package, contents)

    def text_at(self, revision: str, path: str) -> str | None:
        """Text of a file at a revision, None if the revision does not contain it.

        Raises WorktreeError for an unknown revision.
        """
        commit = self._commit(revision)
        try:
            return _git(self.root, "show", f"{commit}:{path}").decode()
        except WorktreeError:
            return None

    def changed_pins(self, base: str, path: str = "constraints.txt") -> dict[str, tuple[str | None, str | None]]:
        """Libraries whose pinned version has changed since a revision: name to (then, now), None if not pinned."""
        file = self.root / path
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        if path in self._left_out(path):
            text = self.text_at("HEAD", path)
        texts = self.text_at(base, path) or "", text or ""
        then, now = (
            dict(line.strip().split("==", 1) for line in text.splitlines() if "==" in line and line[:1] != "#")
            for text in texts
        )
        pins = {name: (then.get(name), now.get(name)) for name in sorted({*then, *now})}
        return {name: versions for name, versions in pins.items() if versions[0] != versions[1]}

    @property
    def _place(self) -> str:
        """The path of the package for git."""
        return self.package or "."

    def _left_out(self, path: str) -> list[str]:
        """The tracked files at a path that a sparse checkout leaves out."""
        listing = os.fsdecode(_git(self.root, "ls-files", "-t", "-z", "--cached", "--", path))
        entries = (entry.split(" ", 1) for entry in listing.split("\0") if entry)
        return [name for tag, name in entries if tag == "S" and not (self.root / name).exists()]

    def _commit(self, name: str) -> str:
        """The commit of a revision. ``REV...`` and ``REV...HEAD`` are the merge base of REV and HEAD, as in git diff.

        Raises WorktreeError for an unknown revision, and if there is no merge base.
        """
        if (tip := _forked_from(name)) is not None:
            return self._merge_base(tip)
        try:
            arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            return _git(self.root, *arguments).decode().strip()
        except WorktreeError:
            other = self._how_to_deepen(name) or "fetch it, or name another"
            hint = "the branch has no commit yet" if name == "HEAD" else other
            raise WorktreeError(f"git does not know the revision {name!r}; {hint}") from None

    def _merge_base(self, name: str) -> str:
        """The best common ancestor of a revision and HEAD. Raises WorktreeError if it is unknown."""
        commit = self._commit(name)
        try:
            base = _git(self.root, "merge-base", commit, "HEAD").decode().strip()
        except WorktreeError:  # there is none
            hint = self._how_to_deepen(name) or "name another revision"
            raise WorktreeError(f"HEAD and {name} have no commit in common; {hint}") from None
        # Behind a commit whose parents a shallow clone lacks, there may be a later common ancestor.
        later = _git(self.root, "rev-list", commit, "HEAD", f"^{base}").decode().split()
        if not self._shallow_commits().isdisjoint(later):
            hint = self._how_to_deepen(name)
            raise WorktreeError(f"git cannot tell the last commit that HEAD and {name} have in common; {hint}")
        return base

    def _shallow_commits(self) -> set[str]:
        """The commits whose parents a shallow clone lacks; none in a whole clone."""
        path = self.root / os.fsdecode(_git(self.root, "rev-parse", "--git-path", "shallow")).strip()
        return set(path.read_text().split()) if path.is_file() else set()

    def _how_to_deepen(self, name: str) -> str:
        """Which command fetches a revision and all history into a shallow clone; empty for a whole clone."""
        if not self._shallow_commits():
            return ""
        prefix = name.partition("/")[0]
        remote = prefix if prefix in _git(self.root, "remote").decode().split() else "origin"
        command = f"git fetch --unshallow {remote} '+refs/heads/*:refs/remotes/{remote}/*'"
        return f"this clone is shallow, and what it lacks comes with: {command}"


def remove_stale(store: Path) -> None:
    """Remove unfinished worktrees of killed gates, and the worktrees used least recently. Make the folder if missing.

    Only one gate at a time may do this. Raises WorktreeError if the folder cannot be made.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorktreeError(f"cannot make the folder {store}: {error.strerror}") from None
    for unfinished in store.glob(f"{UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    by_age = sorted((path for path in store.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in by_age[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def place(store: Path, revision: Revision, side: str, variant: str = "") -> Path:
    """The folder of a side's worktree of a revision. Worktrees of another ``variant`` are in other folders."""
    # Compiled code lies beside the sources, and a setting may change it: an older revision's cache does not see that.
    return store / "-".join(filter(None, [revision.digest, environment.fingerprint(), variant])) / SLOTS[side]


def holds(folder: Path, revision: Revision) -> bool:
    """Whether a folder has all files of a revision, unchanged."""
    files = ((folder / name, content) for name, content in revision.files.items())
    return all(path.is_file() and path.read_bytes() == content for path, content in files)


def lay_out(store: Path, revision: Revision, side: str, variant: str = "") -> Worktree:
    """A side's worktree of a revision, made if it is missing. Raises WorktreeError if it cannot be made."""
    folder = place(store, revision, side, variant)
    home = folder.parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        os.utime(home)
        if folder.is_dir():
            _restore(folder, revision)
            return Worktree(folder, revision.package)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
        twin = next((path for name in SLOTS.values() if (path := home / name).is_dir()), None)
        if twin is not None:  # copy its compiled code, too
            shutil.copytree(twin, unfinished, dirs_exist_ok=True)
        _restore(unfinished, revision)
        unfinished.rename(folder)
    except OSError as error:
        raise WorktreeError(f"cannot lay out {revision.title} in {store}: {error.strerror}") from None
    return Worktree(folder, revision.package)


def _restore(folder: Path, revision: Revision) -> None:
    """Write the files that are missing or differ, and remove Python files that the revision does not contain.

    Python's compiled files are written anew: code of another revision may have written those that are there. Without
    them, every process of every round would compile the sources.
    """
    for name, content in revision.files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).as_posix() not in revision.files:
            path.unlink()
    for compiled in folder.rglob("*.pyc"):
        compiled.unlink()
    with warnings.catch_warnings(action="ignore"):
        compileall.compile_dir(folder, quiet=2)  # the import says what is wrong with a source


def _forked_from(name: str) -> str | None:
    """REV of ``REV...`` or ``REV...HEAD``, which mean the merge base of REV and HEAD; None for another revision."""
    tip, dots, other = name.partition("...")
    return tip if dots and other in ("", "HEAD") else None


def _has_package(root: Path, package: str) -> bool:
    return (root / package / "__init__.py").is_file()


def _git(root: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> bytes:
    try:
        return run_git(root, *arguments, variables=variables)
    except GitError as error:
        raise WorktreeError(str(error)) from None
