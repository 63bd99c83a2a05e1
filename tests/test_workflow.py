"""The gate in the workflow of GitHub: what it measures, what it may do, and what its exit statuses become."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from tests.gates import git
from tests.helpers import ROOT

TEXT = (ROOT / ".github" / "workflows" / "benchmark.yml").read_text(encoding="utf-8")


def gate_job(text):
    """The lines of the job ``gate``."""
    return re.search(r"^  gate:\n((?:    .*\n|\n)+)", text, re.MULTILINE).group(1)


def script_of(text):
    """The shell script of the step ``Gate``."""
    return textwrap.dedent(re.search(r"- name: Gate\n +run: \|\n((?: {10}.*\n)+)", gate_job(text)).group(1))


def faults(text):
    """What would measure a wrong commit, fail for forks, or give a pull request more than it needs."""
    job, script = gate_job(text), script_of(text)
    wanted = {
        "it runs on pull requests": "on:\n  pull_request:\n" in text and "github.event_name == 'pull_request'" in job,
        "it may only read": re.findall(r"permissions:(.*\n(?: +.*\n)*)", text) == ["\n  contents: read\n"],
        "the head is the pull request": "ref: ${{ github.event.pull_request.head.sha }}" in job,
        "all history is there": "fetch-depth: 0" in job,
        "the base is a merge base with the target": "TARGET: origin/${{ github.base_ref }}\n" in job
        and '--against "$TARGET..."' in script,
        "the summary shows the table": '--markdown "$GITHUB_STEP_SUMMARY"' in script,
        "no text of the pull request becomes a command": "${{" not in script,
    }
    forbidden = (
        *("pull_request_target", "workflow_run", "secrets", "token", ": write", "write-all", "github-script"),
        *("base.sha", "gh api", "gh pr", "curl"),
    )
    without_comments = re.sub(r"#.*", "", text).lower()
    return [name for name, holds in wanted.items() if not holds] + [
        word for word in forbidden if word in without_comments
    ]


def test_the_workflow_has_no_fault():
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("  pull_request:\n", "  pull_request_target:\n", "pull_request_target"),
        ("  contents: read\n", "  contents: read\n  pull-requests: write\n", "it may only read"),
        ("  gate:\n", "  gate:\n    permissions: write-all\n", "it may only read"),
        ("          fetch-depth: 0", "          fetch-depth: 1", "all history is there"),
        ("pull_request.head.sha", "pull_request.merge_commit_sha", "the head is the pull request"),
        ("origin/${{ github.base_ref }}", "${{ github.event.pull_request.base.sha }}", "base.sha"),
        ('"$TARGET..."', '"$TARGET"', "the base is a merge base with the target"),
        ('"$TARGET..."', '"origin/${{ github.base_ref }}..."', "no text of the pull request becomes a command"),
        (' \\\n            --markdown "$GITHUB_STEP_SUMMARY"', "", "the summary shows the table"),
        ("          status=0\n", "          status=0\n          gh pr comment --body-file gate.json\n", "gh pr"),
    ],
)
def test_a_wrong_workflow_has_a_fault(right, wrong, fault):
    assert TEXT.count(right) >= 1
    assert fault in faults(TEXT.replace(right, wrong))


@pytest.fixture
def checkout(tmp_path):
    """A checkout as actions/checkout makes it of a fork's pull request: the head of no branch, and origin's branches.

    The fork branched off at m1. Since then, main went on to m2. In place of mlpbench stands a program that prints which
    commit ``--against`` names, appends to ``--markdown``, and exits with STATUS.
    """
    upstream, root = tmp_path / "upstream", tmp_path / "checkout"
    for folder in (upstream, root):
        folder.mkdir()
        git("init", "--quiet", "--initial-branch=main", cwd=folder)

    def commit(name, *, branch):
        git("checkout", "--quiet", "-B", branch, cwd=upstream)
        (upstream / "impls").mkdir(exist_ok=True)
        (upstream / "impls" / "__init__.py").write_text(f"# {name}\n")
        git("add", ".", cwd=upstream)
        git("commit", "--quiet", "--message", name, cwd=upstream)

    commit("m1", branch="main")
    commit("fork", branch="fork")
    git("update-ref", "refs/pull/1/head", "fork", cwd=upstream)
    git("checkout", "--quiet", "main", cwd=upstream)
    git("branch", "--quiet", "-D", "fork", cwd=upstream)
    commit("m2", branch="main")
    git("remote", "add", "origin", f"file://{upstream}", cwd=root)
    git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=root)
    git("fetch", "--quiet", "origin", "refs/pull/1/head", cwd=root)
    git("checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=root)
    program = root / ".venv" / "bin" / "mlpbench"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pairbench.worktrees import Checkout\n"
        "values = dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
        "checkout = Checkout.find('impls')\n"
        "base = checkout.revision(values['--against'])\n"
        "print(*(side.files['impls/__init__.py'].decode().strip() for side in (base, checkout.working_tree())))\n"
        "with open(values['--markdown'], 'a') as file:\n"
        "    file.write('the table')\n"
        "sys.exit(int(os.environ['STATUS']))\n"
    )
    program.chmod(0o755)
    return root


def run_script(checkout, status, text=TEXT):
    """Run the step ``Gate`` as GitHub runs it. Returns the exit status, the output and the summary."""
    summary = checkout / "summary.md"
    summary.write_text("before; ")
    variables = {"GITHUB_STEP_SUMMARY": str(summary), "TARGET": "origin/main", "STATUS": str(status)}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script_of(text)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, summary.read_text()


@pytest.mark.parametrize(("status", "result"), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 4)])
def test_the_step_measures_the_merge_base_and_only_inconclusive_is_forgiven(checkout, status, result):
    returned, out, summary = run_script(checkout, status)
    assert (returned, out.splitlines()[0], summary) == (result, "# m1 # fork", "before; the table")
    assert ("::warning::" in out) == (status == 3)


def test_against_the_tip_the_step_would_measure_what_others_merged(checkout):
    _, out, _ = run_script(checkout, 0, TEXT.replace('"$TARGET..."', '"$TARGET"'))
    assert out.splitlines() == ["# m2 # fork"]
