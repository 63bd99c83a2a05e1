import sys

import pytest

import impls
from impls import _registry
from tests.helpers import python
from tests.third_party import install


@pytest.fixture(autouse=True)
def not_imported(monkeypatch):
    """The third party's module is not imported yet."""
    monkeypatch.delitem(sys.modules, "theirs_module", raising=False)


def test_names_begin_with_the_core_backends_in_table_order():
    names = impls.names()
    assert names[:4] == ["python_loops", "numpy_vectorized", "numba_jit", "numba_simd"]
    assert {"python_loops_ndarray", "numpy_plain", "numba_plain"} <= set(names)
    assert not any(name.startswith("_") for name in names)


def test_names_imports_no_backend():
    code = "import sys, impls; impls.names(); print({'numba', 'impls.numba_simd', 'sklearn'} & set(sys.modules))"
    assert python("-c", code).stdout.strip() == "set()"


def test_an_unknown_name_lists_the_names():
    text = r"no backend is named 'numbajit' \(did you mean numba_jit\?\); there are python_loops, numpy_vec"
    with pytest.raises(impls.UnknownBackend, match=text):
        impls.load("numbajit")
    with pytest.raises(impls.UnknownBackend, match="no backend is named 'abacus'; there are"):
        impls.load("abacus")


def test_a_third_party_is_found_and_loaded(tmp_path, monkeypatch):
    install(tmp_path, "theirs")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert impls.origins()["theirs"] == "third party"
    backend = impls.load("theirs")
    assert (backend.name, backend.description) == ("theirs", "NumPy, with something added.")
    assert backend.build(impls.Network((2, 1)), impls.Network((2, 1)).random_parameters()).forward([1, 2]).shape == (1,)


def with_folder(folder, monkeypatch, *names):
    """Let the registry look for files in ``folder``, which gets empty files with these names."""
    for name in names:
        (folder / name).touch()
    monkeypatch.setattr(_registry, "__file__", str(folder / "_registry.py"))


def test_a_file_that_is_not_of_the_project_is_listed_as_added(tmp_path, monkeypatch):
    assert {origin for name, origin in impls.origins().items() if name in _registry.CORE} == {"core"}
    assert "added" not in {impls.origins()[name] for name in _registry.CORE}
    with_folder(tmp_path, monkeypatch, "graph.py", "mine.py", "_hidden.py")
    assert impls.origins() == {"graph": "core", "mine": "added"}


@pytest.mark.parametrize("name", ["load", "names", "Network"])
def test_a_file_with_the_name_of_a_part_of_the_interface_is_refused(tmp_path, monkeypatch, name):
    with_folder(tmp_path, monkeypatch, f"{name}.py", "mine.py")
    assert impls.names() == ["mine"]
    reason = f"backend '{name}' of 'mlpbench' is refused: impls.{name} is part of the interface"
    assert impls.misnamed() == {name: ("added", reason)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("dtypes = None", "dtypes must be a tuple of 'float64' or 'float32' or both, got None"),
        ("dtypes = 'float64'", "dtypes must be a tuple .* got 'float64'"),
        ("dtypes = ('float64', 'float16')", "dtypes must be a tuple"),
        ("compiles = 1", "compiles must be True or False, got 1"),
        ("__doc__ = 5", "its docstring must be text, got 5"),
        ("lacks = classmethod(lambda c, n: {'forward': 5})", "lacks must map operations to reasons as text, got"),
        ("lacks = classmethod(lambda c, n: {'forwrd': 'no'})", "lacks must map operations to reasons as text, got"),
        ("lacks = classmethod(lambda c, n: [1])", "lacks must map operations to reasons as text, got"),
        ("lacks = classmethod(lambda c, n: 1 / 0)", "lacks raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_backend_with_a_wrong_attribute_is_broken(tmp_path, monkeypatch, body, reason):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_module", raising=False)
    install(tmp_path, "odd", f"    {body}")
    with pytest.raises(impls.BrokenBackend, match=f"^backend odd is broken: {reason}"):
        impls.load("odd")


@pytest.mark.parametrize("name", ["z\n", "z\udcff", "a-b", "a b", "1a", "\x1b[31m", "a\u202eb", "a|b"])
def test_a_name_that_is_no_identifier_is_refused_and_the_others_go_on(tmp_path, monkeypatch, name):
    with_folder(tmp_path, monkeypatch, f"{name}.py", "mine.py")
    assert impls.names() == ["mine"]
    ((refused, (origin, reason)),) = impls.misnamed().items()
    assert (refused, origin) == (name, "added")
    assert reason == f"backend {name!r} of 'mlpbench' is refused: its name must be a Python identifier"
    assert reason.isprintable()
    with pytest.raises(impls.UnknownBackend) as raised:
        impls.load(name)
    assert str(raised.value) == reason


def test_an_entry_point_with_a_name_that_is_no_identifier_is_refused(tmp_path, monkeypatch):
    install(tmp_path, "theirs")
    entry_points = tmp_path / "theirs_package-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text(entry_points.read_text() + "my-own = theirs_module:Model\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs" in impls.names()
    assert impls.misnamed() == {
        "my-own": (
            "third party",
            "backend 'my-own' of 'theirs-package' is refused: its name must be a Python identifier",
        )
    }


def test_a_package_whose_entry_points_cannot_be_read_is_named_and_the_others_are_found(tmp_path, monkeypatch):
    install(tmp_path, "theirs")
    install(tmp_path, "other")
    entry_points = tmp_path / "other_package-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text("[console_scripts]\nno equals sign\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert impls.load("theirs").origin == "third party"
    reason = "the entry points of package 'other-package' cannot be read; correct its entry_points.txt"
    assert impls.misnamed() == {"other-package": ("third party", reason)}


def test_the_extras_of_an_entry_point_are_no_part_of_its_module(tmp_path, monkeypatch):
    install(tmp_path, "theirs")
    entry_points = tmp_path / "theirs_package-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text(f"{entry_points.read_text().rstrip()} [fast]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert impls.load("theirs").origin == "third party"


def test_a_duplicate_name_names_both_sources(tmp_path, monkeypatch):
    install(tmp_path, "numba_simd")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = r"are named numba_simd: impls.numba_simd \(mlpbench\) and numba_simd_module:Model \(numba_simd-package\)"
    for call in (impls.names, lambda: impls.load("numpy_plain")):
        with pytest.raises(impls.DuplicateBackend, match=text):
            call()


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (
            "import libtheirs",
            impls.BackendNotInstalled,
            r"needs libtheirs, which is not installed: pip install 'theirs-package\[fast\]'",
        ),
        ("import libother", impls.BrokenBackend, "cannot be imported: No module named 'libother'"),
        ("import numpy.nothing", impls.BrokenBackend, "cannot be imported: No module named 'numpy.nothing'"),
        (
            "from numpy import nothing",
            impls.BrokenBackend,
            "cannot be imported: ImportError: cannot import name 'nothing'",
        ),
        ("1 / 0", impls.BrokenBackend, "cannot be imported: ZeroDivisionError: division by zero"),
        ("this is no Python", impls.BrokenBackend, "cannot be imported: SyntaxError"),
        (
            "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
            impls.BrokenBackend,
            r"cannot be imported: Odd: \(its message cannot be read\)",
        ),
        ("pass", impls.BrokenBackend, "cannot be imported: AttributeError"),
        ("class Model: pass", impls.BrokenBackend, "theirs_module:Model is not a class derived from impls.Model"),
    ],
)
def test_only_a_missing_optional_library_counts_as_not_installed(tmp_path, monkeypatch, source, error, text):
    install(tmp_path, "theirs")
    (tmp_path / "theirs_module.py").write_text(source)
    with (tmp_path / "theirs_package-1.0.dist-info" / "METADATA").open("a") as file:
        file.write('Provides-Extra: fast\nRequires-Dist: libtheirs>=1; extra == "fast"\nRequires-Dist: libother\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "theirs_module", raising=False)
    with pytest.raises(error, match=text):
        impls.load("theirs")
    assert "theirs" in impls.names()


def test_a_missing_library_of_the_core_names_no_extra():
    assert _registry._missing_extra("no_such_library", "mlpbench") is None
