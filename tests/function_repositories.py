"""Small git repositories with functions, for the tests of pairbench's gate."""

import json
import sys
from pathlib import Path

import pytest

from pairbench.cli.main import main
from tests.gates import git, reduce_effort

FAST = "def total(values):\n    return sum(values)\n"
SLOW = "def total(values):\n    for _ in range(8):\n        sum(values)\n    return sum(values)\n"
"""Takes nine times as long."""
DATA = "def make():\n    return (list(range(3000)),)\n"
QUICK = ("--against", "HEAD", "--budget", "30", "--threshold", "100%")


def lay_out(root, files, message="base"):
    """Write files, contents by path, into a git repository, and commit them."""
    is_new = not root.exists()
    write(root, files)
    if is_new:
        git("init", "--quiet", cwd=root)
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message", message, cwd=root)


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def gate(*arguments):
    """Run the gate in the current folder; return its status, its rows by function, and its document."""
    path = Path.cwd().parent / "gate.json"  # in the working tree it would belong to the head
    status = main(["gate", *QUICK, *arguments, "--json", str(path)])
    document = json.loads(path.read_text())
    return status, {row["function"]: row for row in document["rows"]}, document


def refused(capsys, *arguments):
    """Run the gate, which refuses its arguments, and return the one line that says why."""
    status = main(["gate", *QUICK, *arguments])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pairbench: ")][-1:]
    assert status == 2, line
    return line


def run_with_reduced_effort():
    """Run the command line of this process with less effort."""
    reduce_effort(pytest.MonkeyPatch())
    sys.exit(main())
