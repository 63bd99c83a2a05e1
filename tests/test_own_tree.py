"""Each process imports the packages of its own tree alone, though another checkout is installed."""

import os
import shutil
import sys

import pytest

from bench.cases import Case
from bench.gate import gate_document, preparation, revision_backends
from bench.gate.revision_backends import list_backends
from bench.gate.row_plans import BackendCase
from bench.records.gate_schema import GateState
from impls import Network
from pairbench import own_tree
from pairbench.measurement_loop import GateTask
from pairbench.worktrees import Checkout
from tests import gates
from tests.helpers import ROOT, python

FINDER = """
import sys
from importlib.machinery import PathFinder

class Editable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "impls" or name.startswith("impls."):
            return PathFinder.find_spec(name, [r"{other}/" + "/".join(name.split(".")[:-1])])

sys.meta_path.append(Editable)
"""
"""What the editable install of a checkout does, as setuptools writes it."""
FORWARD = [Case(Network((3, 3, 1)), "forward", 1)]


@pytest.fixture
def two_checkouts(tmp_path, monkeypatch):
    """A repository whose head lacks a module, while an editable install of another checkout would serve it."""
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    root = tmp_path / "repository"
    gates.lay_out(root)
    (root / "impls" / "numpy_plain.py").write_text(
        "from impls import _helper\nfrom impls.numpy_vectorized import Model\n"
    )
    other = tmp_path / "other" / "impls"
    shutil.copytree(root / "impls", other)
    (other / "_helper.py").write_text("")
    (other / "only_there.py").write_text("")
    return root, FINDER.format(other=other.parent)


def test_a_module_that_the_tree_lacks_is_not_taken_from_another_checkout(two_checkouts):
    root, finder = two_checkouts
    code = f"{finder}\nfrom pairbench import own_tree; from pathlib import Path; own_tree.guard([Path(r'{root}')])\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(ROOT)])}
    done = python("-P", "-c", code + "import impls.only_there", env=environment, cwd=root)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'impls.only_there'"
    done = python("-P", "-c", code + "import impls; print(impls.__file__)", env=environment, cwd=root)
    assert done.stdout.strip() == str(root / "impls" / "__init__.py")
    done = python(
        "-P", "-c", f"import sys; sys.path[:0] = [r'{ROOT}']; import impls\n{code}", env=environment, cwd=root
    )
    assert "ForeignModule: the module impls" in done.stderr.splitlines()[-1]


def test_a_module_from_elsewhere_is_noticed_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    own_tree.guard([tmp_path])
    own_tree.check_origins()
    monkeypatch.setitem(sys.modules, "mine.other", own_tree)
    with pytest.raises(
        own_tree.ForeignModule, match=r"the module mine\.other is imported from .*own_tree\.py, not from"
    ):
        own_tree.check_origins()


def test_the_gate_lists_what_the_head_can_import(two_checkouts, monkeypatch, tmp_path):
    root, finder = two_checkouts
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(finder)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.chdir(root)
    checkout = Checkout.find("impls")
    sides = preparation.lay_out(checkout, {"head": checkout.working_tree()})
    listing = list_backends(sides["head"], FORWARD)
    assert "only_there" not in listing.origins
    assert "cannot import name '_helper'" in listing.descriptions["numpy_plain"].reason
    assert listing.descriptions["numpy_vectorized"].reason == ""


def test_a_head_that_lists_no_backends_is_broken_like_all_of_the_base(two_checkouts, monkeypatch):
    root, _ = two_checkouts
    monkeypatch.chdir(root)
    checkout = Checkout.find("impls")
    base = checkout.revision("HEAD")
    (root / "impls" / "_check.py").unlink()
    sides = preparation.lay_out(checkout, {"head": checkout.working_tree(), "base": base})
    choice = preparation.choose_rows(sides, FORWARD, ["numpy_vectorized"])
    (reasons,) = choice.wrong.values()
    assert reasons.keys() == {"head"}
    assert "_check" in reasons["head"]


def test_the_checkout_itself_fails_if_its_head_cannot_be_imported(tmp_path):
    for package in ("impls", "pairbench", "bench"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "impls" / "_check.py").unlink()
    done = python("-m", "bench", "gate", "--against", "HEAD", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL: the head cannot be imported: ")
    assert "_check" in done.stdout


def test_a_backend_that_is_installed_outside_is_refused(monkeypatch, repository):
    listing = revision_backends.BackendListing({"theirs": "third party"}, {"theirs": None})
    monkeypatch.setattr(preparation, "list_backends", lambda worktree, cases: listing)
    description = revision_backends.BackendDescription("theirs", ("float64",), "", False, ((),))
    listing.descriptions["theirs"] = description
    with pytest.raises(ValueError, match="theirs is installed outside of the two revisions"):
        preparation.choose_rows({"head": None, "base": None}, FORWARD, ["theirs"])
    assert preparation.choose_rows({"head": None}, FORWARD, ["theirs"]).rows  # a session compares no two sources


def test_what_both_sides_fail_alike_is_no_regression():
    row = BackendCase("numpy_plain", FORWARD[0])
    state = GateState(settings={}, started="", rounds=[], failures={}, deaths={})
    task = GateTask({}, (row.key,), 0.05, 1.0, {row.key: ""})

    def judged(**failures):
        found = gate_document.revision_row(row, state, task, failures, "")
        return found.verdict, found.reason

    assert judged(head="no compiler", base="no compiler") == ("INCONCLUSIVE", "head and base fail alike: no compiler")
    assert judged(head="no compiler", base="something else") == ("FAIL", "the head fails: no compiler")
    assert judged(head="no compiler") == ("FAIL", "the head fails: no compiler")
