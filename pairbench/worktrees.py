"""Worktrees: a package as two revisions have it, in folders side by side, kept for the next gate with their caches.

The folders of a revision stand under the digest of its content. There is one for each side, and all are copies of each
other with paths of equal length. A folder appears under its name when it is complete.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SLOTS = {"head": "h", "base": "a", "control": "b"}
"""Folder of each side; the names are equally long, so that the paths are."""
KEPT = 8
"""Digests of which the trees are kept, those used last."""
UNFINISHED = ".unfinished-"


class WorktreeError(ValueError):
    """A revision that cannot be had; the text says why in one line."""


@dataclass(frozen=True)
class Revision:
    """File contents by path, and where they come from; ``commit`` is None for uncommitted work."""

    title: str
    commit: str | None
    package: str
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """Digest of paths and contents."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(os.fsencode(f"{name}\0{len(self.files[name])}\0"))
            digest.update(self.files[name])
        return digest.hexdigest()[:40]


@dataclass(frozen=True)
class Worktree:
    """A folder that holds one revision of a package, and is put on the path of a measuring process."""

    path: Path
    package: str

    def check_present(self) -> None:
        """Raise WorktreeError unless the package is where it was laid out."""
        if not _has_package(self.path, self.package):
            raise WorktreeError(f"the sources are gone from {self.path}: they were removed while they were measured")


@dataclass(frozen=True)
class Checkout:
    """A git checkout whose top folder ``root`` holds a package."""

    root: Path
    package: str

    @classmethod
    def find(cls, package: str) -> Checkout:
        """The checkout that the current folder is in. Raises WorktreeError."""
        try:
            root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").decode().strip())
        except WorktreeError as error:
            raise WorktreeError(f"the gate needs a git checkout of the project: {error}") from None
        if not _has_package(root, package):
            raise WorktreeError(f"{root} has no {package}/: run the gate in a checkout of the project")
        return cls(root, package)

    def working_tree(self) -> Revision:
        """The working tree as it stands: what is committed, changed or new, but for what git ignores."""
        listing = _git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", self.package)
        files = {name: self.root / name for name in os.fsdecode(listing).split("\0") if name}
        # As in an archive, a link is no file.
        contents = {name: path.read_bytes() for name, path in files.items() if path.is_file() and not path.is_symlink()}
        head = self.revision("HEAD")
        if contents == head.files:
            return head
        return Revision("the working tree", None, self.package, contents)

    def revision(self, name: str) -> Revision:
        """A revision that git knows. Raises WorktreeError."""
        commit = self._commit(name)
        try:
            archive = _git(self.root, "archive", "--format=tar", commit, "--", self.package)
        except WorktreeError:
            raise WorktreeError(f"{name} has no {self.package}/; name a revision that has") from None
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
            contents = {path: file.read() for path, file in files.items() if file is not None}
        return Revision(f"{name} ({commit[:10]})", commit, self.package, contents)

    def text_at(self, revision: str, path: str) -> str | None:
        """A file as a revision has it, None where it has none. Raises WorktreeError for an unknown revision."""
        commit = self._commit(revision)
        try:
            return _git(self.root, "show", f"{commit}:{path}").decode()
        except WorktreeError:
            return None

    def changed_pins(self, base: str, path: str = "constraints.txt") -> dict[str, tuple[str | None, str | None]]:
        """By library, the versions that the project pins at a revision and now, where the two differ."""
        now = self.root / path
        texts = self.text_at(base, path) or "", now.read_text(encoding="utf-8") if now.is_file() else ""
        then, present = (
            dict(line.strip().split("==", 1) for line in text.splitlines() if "==" in line and line[:1] != "#")
            for text in texts
        )
        both = {name: (then.get(name), present.get(name)) for name in sorted({*then, *present})}
        return {name: versions for name, versions in both.items() if versions[0] != versions[1]}

    def _commit(self, name: str) -> str:
        try:
            arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            return _git(self.root, *arguments).decode().strip()
        except WorktreeError:
            raise WorktreeError(f"git knows no revision {name!r} here; fetch it, or name another") from None


def remove_stale(store: Path) -> None:
    """Remove what a killed gate left, and the trees that were not used for longest. Only one gate at a time may.

    Raises TreeError where there can be no such folder.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorktreeError(f"cannot make the folder {store}: {error.strerror}") from None
    for left in store.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    kept = sorted((path for path in store.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in kept[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def lay_out(store: Path, revision: Revision, side: str) -> Worktree:
    """A side's copy of the package, made if it is missing. Raises WorktreeError where that is impossible."""
    home = store / revision.digest
    place = home / SLOTS[side]
    try:
        home.mkdir(parents=True, exist_ok=True)
        os.utime(home)
        if place.is_dir():
            _restore(place, revision)
            return Worktree(place, revision.package)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
        twin = next((path for name in SLOTS.values() if (path := home / name).is_dir()), None)
        if twin is not None:  # with what it has compiled
            shutil.copytree(twin, unfinished, dirs_exist_ok=True)
        _restore(unfinished, revision)
        unfinished.rename(place)
    except OSError as error:
        raise WorktreeError(f"cannot lay out {revision.title} in {store}: {error.strerror}") from None
    return Worktree(place, revision.package)


def _restore(place: Path, revision: Revision) -> None:
    """Write the files that are missing or differ, and remove the sources that the revision has not."""
    for name, content in revision.files.items():
        path = place / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in place.rglob("*.py"):
        if path.relative_to(place).as_posix() not in revision.files:
            path.unlink()


def _has_package(root: Path, package: str) -> bool:
    return (root / package / "__init__.py").is_file()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)
    except FileNotFoundError:
        raise WorktreeError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise WorktreeError(lines[-1] if lines else f"git {arguments[0]} failed") from None
    return done.stdout
