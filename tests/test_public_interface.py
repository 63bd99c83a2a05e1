"""The public interface of pairbench: the names in ``__all__``. bench uses no other, and the documentation lists it."""

import ast
import importlib
import inspect
import re
from functools import cache

import pytest

from tests.helpers import ROOT
from tests.test_architecture import modules

PAGE = (ROOT / "docs" / "your-own-suite.md").read_text(encoding="utf-8")
SOURCES = modules()
PAIRBENCH = {name: source for name, source in SOURCES.items() if name.partition(".")[0] == "pairbench"}
USERS = {name: source for name, source in SOURCES.items() if name not in PAIRBENCH}


def public_names(sources):
    """The names in ``__all__``, by module that has it."""
    found = {}
    for module, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found[module] = ast.literal_eval(node.value)
    return found


@cache
def uses(source):
    """The modules of pairbench that a source uses, each with the name that it uses of it, None for the module alone."""
    tree, found, bound = ast.parse(source), set(), {}

    def use(module, name):
        """Note a use of a name, or of a submodule; the module that it is, or None."""
        is_module = f"{module}.{name}" in PAIRBENCH
        found.add((f"{module}.{name}", None) if is_module else (module, name))
        return f"{module}.{name}" if is_module else None

    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in PAIRBENCH:
            bound |= {alias.asname or alias.name: use(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in PAIRBENCH:
                    found.add((alias.name, None))
                    bound |= {alias.asname: alias.name} if alias.asname else {"pairbench": "pairbench"}
        elif isinstance(node, ast.Constant) and node.value in PAIRBENCH and "." in node.value:
            found.add((node.value, None))  # such as the argument of import_module

    def module_of(node):
        """The module that an expression is; None for other expressions. Notes the names that are used on the way."""
        if isinstance(node, ast.Name):
            return bound.get(node.id)
        if isinstance(node, ast.Attribute) and (module := module_of(node.value)):
            return use(module, node.attr)
        return None

    for node in ast.walk(tree):
        module_of(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and (module := module_of(node.args[0])):
            use(module, node.args[1].value if isinstance(node.args[1], ast.Constant) else "*")
    return found


def private_uses(sources, public):
    """What modules use of pairbench that is not public, by module."""
    return {
        (user, f"{module}.{name}" if name else module)
        for user, source in sources.items()
        for module, name in uses(source)
        if module not in public or (name and name not in public[module] and not re.fullmatch(r"__\w+__", name))
    }


def dead_names(sources, public, page):
    """The public names that no module uses, and the page does not name."""
    used = {pair for source in sources.values() for pair in uses(source)}
    documented = set(re.findall(r"`(\w+)`", page))
    return {
        f"{module}.{name}"
        for module, names in public.items()
        for name in names
        if (module, name) not in used and name not in documented
    }


def wrong_definitions(public, sources):
    """The public names that do not exist, come from another module, or are functions or classes without docstring."""
    wrong = {}
    for module, names in public.items():
        body = ast.parse(sources[module]).body
        assigned = {ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)}
        defined = {
            node.name: ast.get_docstring(node) is not None
            for node in body
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        for name in names:
            value = getattr(importlib.import_module(module), name, None)
            is_code = name not in assigned and (inspect.isclass(value) or inspect.isfunction(value))
            if value is None:
                wrong[f"{module}.{name}"] = "does not exist"
            elif is_code and name not in defined:
                wrong[f"{module}.{name}"] = f"is defined in {value.__module__}"
            elif is_code and not defined[name]:
                wrong[f"{module}.{name}"] = "has no docstring"
    return wrong


def listed(page):
    """The modules that a page lists."""
    return re.findall(r"^- `(pairbench[.\w]*)`", page, re.MULTILINE)


PUBLIC = public_names(PAIRBENCH)


def test_only_public_names_are_used():
    assert private_uses(USERS, PUBLIC) == set()


def test_every_public_name_is_used_or_documented():
    assert dead_names(USERS, PUBLIC, PAGE) == set()


def test_every_public_name_is_defined_and_described_in_its_module():
    own = {module: names for module, names in PUBLIC.items() if module != "pairbench"}
    assert wrong_definitions(own, PAIRBENCH) == {}
    package = importlib.import_module("pairbench")  # it takes its names from its modules
    assert [name for name in PUBLIC["pairbench"] if not getattr(package, name).__doc__] == []


def test_the_page_lists_the_public_modules_once_each():
    assert sorted(listed(PAGE)) == sorted(PUBLIC)


# Tests of the checks.


@pytest.mark.parametrize(
    ("line", "private"),
    [
        ("from pairbench.rounds import TURN_SECONDS", "pairbench.rounds.TURN_SECONDS"),
        ("from pairbench import rounds\nprint(rounds.TURN_SECONDS)", "pairbench.rounds.TURN_SECONDS"),
        ("from pairbench import rounds as r\ndef f():\n    return r.TURN_SECONDS", "pairbench.rounds.TURN_SECONDS"),
        ("import pairbench.rounds\nprint(pairbench.rounds.TURN_SECONDS)", "pairbench.rounds.TURN_SECONDS"),
        ("import pairbench.rounds as r\nprint(r.TURN_SECONDS)", "pairbench.rounds.TURN_SECONDS"),
        ("import pairbench\nprint(pairbench._MODULES)", "pairbench._MODULES"),
        ("from pairbench.cli import options\nprint(options.Command)", "pairbench.cli.options.Command"),
        ("from pairbench.statistics import *", "pairbench.statistics.*"),
        ("from pairbench import rounds\nprint(getattr(rounds, 'TURN_SECONDS'))", "pairbench.rounds.TURN_SECONDS"),
        ("from pairbench import rounds\nprint(getattr(rounds, input()))", "pairbench.rounds.*"),
        ("def f():\n    from pairbench import cgroup", "pairbench.cgroup"),
        ("import pairbench.cgroup", "pairbench.cgroup"),
        ("import pairbench\nprint(pairbench.cgroup)", "pairbench.cgroup"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pairbench.cgroup import Stalls",
            "pairbench.cgroup",
        ),
        ("from importlib import import_module\nimport_module('pairbench.cgroup')", "pairbench.cgroup"),
    ],
)
def test_a_private_use_is_found(line, private):
    found = private_uses({**USERS, "bench.cases": f"{USERS['bench.cases']}\n{line}\n"}, PUBLIC)
    assert {user for user, _ in found} == {"bench.cases"}
    assert private in {name.removesuffix(".Stalls") for _, name in found}


def test_a_variable_of_the_same_name_is_not_taken_for_the_module():
    assert private_uses({"bench.cases": "def f(rounds):\n    return rounds.TURN_SECONDS"}, PUBLIC) == set()


@pytest.mark.parametrize("name", ["TURN_SECONDS", "measure_trial_round"])
def test_a_public_name_that_nobody_needs_is_found(name):
    wrong = {**PUBLIC, "pairbench.rounds": [*PUBLIC["pairbench.rounds"], name]}
    assert dead_names(USERS, wrong, PAGE) == {f"pairbench.rounds.{name}"}
    assert dead_names(USERS, wrong, f"{PAGE} `{name}`") == set()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nothing", "does not exist"), ("Random", "is defined in random"), ("_replies", "has no docstring")],
)
def test_a_wrong_public_name_is_found(name, reason, monkeypatch):
    def _replies(): ...

    monkeypatch.setattr("pairbench.rounds._replies", _replies, raising=False)
    sources = {"pairbench.rounds": f"{PAIRBENCH['pairbench.rounds']}\ndef _replies(): ...\n"}
    assert wrong_definitions({"pairbench.rounds": ["measure_round", name]}, sources) == {
        f"pairbench.rounds.{name}": reason
    }


def test_a_module_that_the_page_lacks_or_lists_too_much_is_found():
    assert "pairbench.cgroup" in listed(f"{PAGE}\n- `pairbench.cgroup`: quotas.\n")
    assert "pairbench.rounds" not in listed(PAGE.replace("- `pairbench.rounds`", "- `rounds`"))
