"""The sources of two revisions, laid side by side: paths of equal length, kept for the next gate with their caches.

A tree is a copy of ``impls`` under the digest of its content. Each digest has slots, which are copies of each other:
one for the head, two for the base. A slot appears under its name when it is whole.
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

SLOTS = {"head": "h", "base": "a", "again": "b"}
PACKAGE = "impls"
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
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """Digest of paths and contents."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(os.fsencode(f"{name}\0{len(self.files[name])}\0"))
            digest.update(self.files[name])
        return digest.hexdigest()[:40]


def find_repository() -> Path:
    """The working tree that the current folder is in. Raises TreeError."""
    try:
        root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").decode().strip())
    except WorktreeError as error:
        raise WorktreeError(f"the gate needs a git checkout of the project: {error}") from None
    if not (root / PACKAGE / "__init__.py").is_file():
        raise WorktreeError(f"{root} has no {PACKAGE}/: run the gate in a checkout of the project")
    return root


def working_tree(root: Path) -> Revision:
    """The working tree as it stands: what is committed, changed or new, but for what git ignores."""
    listing = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", PACKAGE)
    files = {name: root / name for name in os.fsdecode(listing).split("\0") if name}
    # As in an archive, a link is no file.
    contents = {name: path.read_bytes() for name, path in files.items() if path.is_file() and not path.is_symlink()}
    commit = _commit(root, "HEAD")
    same = contents == read_revision(root, "HEAD").files
    return Revision("the working tree" if not same else f"HEAD ({commit[:10]})", commit if same else None, contents)


def read_revision(root: Path, name: str) -> Revision:
    """A revision that git knows. Raises TreeError."""
    commit = _commit(root, name)
    try:
        archive = _git(root, "archive", "--format=tar", commit, "--", PACKAGE)
    except WorktreeError:
        raise WorktreeError(f"{name} has no {PACKAGE}/; name a revision that has") from None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        contents = {path: file.read() for path, file in files.items() if file is not None}
    return Revision(f"{name} ({commit[:10]})", commit, contents)


def text_at(root: Path, name: str, path: str) -> str | None:
    """A file as a revision has it, None where it has none. Raises TreeError for an unknown revision."""
    commit = _commit(root, name)
    try:
        return _git(root, "show", f"{commit}:{path}").decode()
    except WorktreeError:
        return None


def changed_pins(root: Path, base: str, path: str = "constraints.txt") -> dict[str, tuple[str | None, str | None]]:
    """Versions that the project pins, at a revision and now, of the libraries for which they differ."""
    now = root / path
    texts = text_at(root, base, path) or "", now.read_text(encoding="utf-8") if now.is_file() else ""
    then, present = (
        dict(line.strip().split("==", 1) for line in text.splitlines() if "==" in line and line[:1] != "#")
        for text in texts
    )
    both = {name: (then.get(name), present.get(name)) for name in sorted({*then, *present})}
    return {name: versions for name, versions in both.items() if versions[0] != versions[1]}


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


def lay_out(store: Path, revision: Revision, side: str) -> Path:
    """The folder with a side's copy of ``impls``, made if it is missing. Raises TreeError where it cannot be."""
    home = store / revision.digest
    place = home / SLOTS[side]
    try:
        home.mkdir(parents=True, exist_ok=True)
        os.utime(home)
        if place.is_dir():
            _restore(place, revision)
            return place
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
        twin = next((path for name in SLOTS.values() if (path := home / name).is_dir()), None)
        if twin is not None:  # with what it has compiled
            shutil.copytree(twin, unfinished, dirs_exist_ok=True)
        _restore(unfinished, revision)
        unfinished.rename(place)
    except OSError as error:
        raise WorktreeError(f"cannot lay out {revision.title} in {store}: {error.strerror}") from None
    return place


def check_present(place: Path) -> None:
    """Raise TreeError unless a tree is where it was laid."""
    if not (place / PACKAGE / "__init__.py").is_file():
        raise WorktreeError(f"the sources are gone from {place}: they were removed while they were measured")


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


def _commit(root: Path, name: str) -> str:
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except WorktreeError:
        raise WorktreeError(f"git knows no revision {name!r} here; fetch it, or name another") from None


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)
    except FileNotFoundError:
        raise WorktreeError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise WorktreeError(lines[-1] if lines else f"git {arguments[0]} failed") from None
    return done.stdout
