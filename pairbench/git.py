"""Runs git in a folder, whatever repository the environment names."""

from __future__ import annotations

__all__ = ["GitError", "run_git"]

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PLACES = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE"),
        *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    }
)
"""Variables that git sets for a hook. They would name another folder or index than the one that is asked for."""
REASONS = ("fatal:", "error:")


class GitError(Exception):
    """Git cannot do what was asked for; the message gives git's reason in one line."""


def run_git(root: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> bytes:
    """The output of git in the folder ``root``. Raises GitError."""
    inherited = {name: value for name, value in os.environ.items() if name not in PLACES}
    environment = inherited | {"LC_ALL": "C"} | dict(variables or {})  # the reasons are found by their English marks
    try:
        done = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, check=True)
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith(REASONS)), lines[-1] if lines else "")
        raise GitError(reason or f"git {arguments[0]} failed") from None
    return done.stdout
