"""Which copy of the project is running: its folder, its commit, and the checkout in which the caller stands."""

from __future__ import annotations

from pathlib import Path

from bench.records.schema import SourceRecord
from pairbench.git import GitError, run_git

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("impls", "pairbench", "bench")


def source() -> SourceRecord:
    """The copy of the project that this process runs, and that its worker processes measure."""
    current = _top(Path.cwd())
    is_other = current not in (None, PROJECT) and all((Path(str(current)) / package).is_dir() for package in PACKAGES)
    commit, changed = None, None
    if _top(PROJECT) == PROJECT:
        try:
            commit = run_git(PROJECT, "rev-parse", "HEAD").decode().strip()
            changed = bool(run_git(PROJECT, "--no-optional-locks", "status", "--porcelain", "--", *PACKAGES).strip())
        except GitError:  # such as a repository without a commit
            pass
    return SourceRecord(
        folder=str(PROJECT), commit=commit, changed=changed, other_checkout=str(current) if is_other else None
    )


def _top(folder: Path) -> Path | None:
    """The top folder of the git checkout that contains a folder; None outside of a checkout, or without git."""
    try:
        return Path(run_git(folder, "rev-parse", "--show-toplevel").decode().removesuffix("\n")).resolve()
    except GitError:
        return None
