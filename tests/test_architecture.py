"""The direction of imports: no circle, no arrow upwards, and an instrument that knows nothing of what it times."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("impls", "pairbench", "bench")

ROOMS = (
    ("impls", "pairbench"),
    ("bench.cases", "bench.selection"),
    ("bench.proof",),
    ("bench.workload", "bench.correctness", "bench.arms", "bench.measure"),
    ("bench.roofline", "bench.records"),
    ("bench.backend_listing", "bench.checkpoint", "bench.suite"),
    ("bench.tutorials", "bench.scale", "bench.speed"),
    ("bench.gate",),
    ("bench.report",),
    ("bench.cli", "bench.plugin", "bench.__main__"),
)


def modules(root=ROOT):
    """The sources of all modules by name; a package is named as its folder."""
    files = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    names = {file: ".".join(file.relative_to(root).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file.read_text() for file, name in names.items()}


def imports(sources, at_run_time=False):
    """By module, the modules that it imports; with ``at_run_time`` those inside of functions count, too."""
    return {
        name: {_module_of(one, sources) for one in _imported(source, at_run_time)} - {None, name}
        for name, source in sources.items()
    }


def _module_of(found, sources):
    """The module that an import names: that of a package, or the one that holds the name."""
    return next((one for one in (found, found.rpartition(".")[0]) if one in sources), None)


@cache
def _imported(source, at_run_time):
    """All that a source imports: modules, and names in modules."""
    found, nodes = set(), [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if (is_function and not at_run_time) or is_typing:
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def rank(name):
    """How high a module's room is; the longest name that fits counts."""
    fitting = [
        (len(room), place)
        for place, rooms in enumerate(ROOMS)
        for room in rooms
        if name == room or name.startswith(f"{room}.")
    ]
    return max(fitting)[1] if fitting else None


def upward(graph):
    """The imports from a lower room of a module in a higher one."""
    return {(name, other) for name, others in graph.items() for other in others if rank(name) < rank(other)}


def crossings(graph):
    """The imports by the instrument and the subject of what they must not know."""
    forbidden = {"pairbench": ("impls", "bench"), "impls": ("pairbench", "bench")}
    return {
        (name, other)
        for name, others in graph.items()
        for other in others
        if other.partition(".")[0] in forbidden.get(name.partition(".")[0], ())
    }


def circle(graph):
    """A circle of imports, None where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_every_module_has_a_layer():
    assert [name for name in modules() if name != "bench" and rank(name) is None] == []


def test_pairbench_and_impls_import_neither_bench_nor_each_other():
    assert crossings(imports(modules(), at_run_time=True)) == set()


def test_no_import_goes_upwards():
    graph = {name: others for name, others in imports(modules()).items() if name != "bench"}
    assert upward({name: others - {"bench"} for name, others in graph.items()}) == set()


def test_there_is_no_import_cycle():
    graph = imports(modules())
    # A package's own __init__ names what its modules hold.
    assert circle({name: others for name, others in graph.items() if name not in PACKAGES}) is None


def test_the_plugin_imports_nothing_of_the_command_line():
    (found,) = (others for name, others in imports(modules(), at_run_time=True).items() if name == "bench.plugin")
    assert [name for name in found if name.startswith("bench.cli")] == []


@pytest.mark.parametrize(
    ("module", "line", "finder"),
    [
        ("pairbench.timer", "def f():\n    from impls import load", crossings),
        ("impls._check", "import bench.cases", crossings),
        ("bench.cases", "from bench.proof import verify", upward),
        ("bench.records.schema", "from bench.cli import output", upward),
        ("bench.gate.rows", "from bench.gate import revision", circle),
    ],
)
def test_a_forbidden_import_is_detected(module, line, finder):
    sources = modules()
    at_run_time = finder is crossings
    clean = {name: others for name, others in imports(sources, at_run_time).items() if name not in PACKAGES}
    sources[module] += f"\n{line}\n"
    spoilt = {name: others for name, others in imports(sources, at_run_time).items() if name not in PACKAGES}
    drop = {"bench"}
    assert not finder({name: others - drop for name, others in clean.items()})
    assert finder({name: others - drop for name, others in spoilt.items()})


def test_pairbench_imports_alone():
    """The instrument is usable where neither the suite nor the subject is."""
    names = [f"pairbench.{file.stem}" for file in (ROOT / "pairbench").glob("[!_]*.py")]
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.partition('.')[0] in ('impls', 'bench', 'numba'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"import importlib\nfor name in {names}: importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
