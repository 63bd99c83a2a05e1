"""The direction of imports: no cycle, no import from a higher layer, and separate packages."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("impls", "pairbench", "bench")

LAYERS = (
    ("impls", "pairbench"),
    ("bench.cases", "bench.selection"),
    ("bench.proof",),
    ("bench.workload", "bench.correctness", "bench.arms", "bench.case_measurement"),
    ("bench.forecast", "bench.timing_proof", "bench.warm"),
    ("bench.roofline",),
    ("bench.records",),
    ("bench.backend_listing", "bench.checkpoint", "bench.suite"),
    ("bench.tutorials", "bench.scale", "bench.speed"),
    ("bench.cluster", "bench.scale_out"),
    ("bench.gate",),
    ("bench.history", "bench.tool_comparison"),
    ("bench.comparison",),
    ("bench.report",),
    ("bench.page",),
    ("bench.commands",),
    ("bench.cli", "bench.plugin"),
    ("bench.pytest_cases", "bench.__main__"),
)


def modules(root=ROOT):
    """The sources of all modules by dotted name. The name of a package is that of its folder."""
    files = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    names = {file: ".".join(file.relative_to(root).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file.read_text() for file, name in names.items()}


def imports(sources, at_run_time=False):
    """For each module, the modules that it imports; with ``at_run_time``, also those imported inside functions."""
    return {
        name: {_module_of(imported, sources) for imported in _imported(source, at_run_time)} - {None, name}
        for name, source in sources.items()
    }


def _module_of(imported, sources):
    """The module of an import: the imported name itself, or the module that defines the name; None for others."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in sources), None)


@cache
def _imported(source, at_run_time):
    """All names that a source imports: modules, and names in modules."""
    names, nodes = set(), [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if (is_function and not at_run_time) or is_typing:
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def rank(name):
    """The number of a module's layer, by the longest matching prefix; None if no prefix matches."""
    fitting = [
        (len(prefix), number)
        for number, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if name == prefix or name.startswith(f"{prefix}.")
    ]
    return max(fitting)[1] if fitting else None


def upward(graph):
    """The imports from a lower layer of a module in a higher one."""
    return {(name, other) for name, others in graph.items() for other in others if rank(name) < rank(other)}


def forbidden_imports(graph):
    """The imports of pairbench and impls that are forbidden to them."""
    forbidden = {"pairbench": ("impls", "bench"), "impls": ("pairbench", "bench")}
    return {
        (name, other)
        for name, others in graph.items()
        for other in others
        if other.partition(".")[0] in forbidden.get(name.partition(".")[0], ())
    }


def cycle(graph):
    """A cycle of imports, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_every_module_has_a_layer():
    assert [name for name in modules() if name != "bench" and rank(name) is None] == []


def test_pairbench_and_impls_import_neither_bench_nor_each_other():
    assert forbidden_imports(imports(modules(), at_run_time=True)) == set()


def test_no_import_goes_upwards():
    graph = {name: others for name, others in imports(modules()).items() if name != "bench"}
    assert upward({name: others - {"bench"} for name, others in graph.items()}) == set()


def test_there_is_no_import_cycle():
    graph = imports(modules())
    # The __init__ of a package re-exports names from its modules.
    assert cycle({name: others for name, others in graph.items() if name not in PACKAGES}) is None


def test_the_plugin_imports_nothing_of_the_command_line():
    (imported,) = (others for name, others in imports(modules(), at_run_time=True).items() if name == "bench.plugin")
    assert [name for name in imported if name.startswith(("bench.cli", "bench.commands"))] == []


@pytest.mark.parametrize(
    ("module", "line", "finder"),
    [
        ("pairbench.timer", "def f():\n    from impls import load", forbidden_imports),
        ("impls._check", "import bench.cases", forbidden_imports),
        ("bench.cases", "from bench.proof import verify", upward),
        ("bench.records.schema", "from bench.commands import output", upward),
        ("bench.gate.row_plans", "from bench.gate import revision", cycle),
    ],
)
def test_a_forbidden_import_is_detected(module, line, finder):
    sources = modules()
    at_run_time = finder is forbidden_imports
    clean = {name: others for name, others in imports(sources, at_run_time).items() if name not in PACKAGES}
    sources[module] += f"\n{line}\n"
    changed = {name: others for name, others in imports(sources, at_run_time).items() if name not in PACKAGES}
    drop = {"bench"}
    assert not finder({name: others - drop for name, others in clean.items()})
    assert finder({name: others - drop for name, others in changed.items()})


def test_pairbench_imports_alone():
    """pairbench is usable without impls, bench and Numba."""
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
