"""Find and load backends: modules in ``impls/`` and ``impls/peers/``, and entry points of installed packages."""

from __future__ import annotations

import importlib
import importlib.util
import operator
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import ArrayLike

from impls import _check
from impls._backend import Model
from impls._network import Network

GROUP = "mlpbench.backends"
LEADING = ("python_loops", "numpy_vectorized", "numba_jit", "numba_simd", "graph")
"""Backends that are listed first, in this order; the others follow in alphabetical order."""
CORE = frozenset({*LEADING, "python_loops_ndarray", "numpy_plain", "numba_plain"})
"""The backends of this project; any other file in ``impls/`` was added by somebody else."""
DTYPES = ("float64", "float32")
"""The dtypes that a backend may support."""


class BackendError(Exception):
    """A backend cannot be loaded; the message gives the reason in one line."""


class UnknownBackend(BackendError, LookupError):
    """No backend has this name."""


class DuplicateBackend(BackendError):
    """Two backends have the same name."""


class BackendUnavailable(BackendError):
    """The backend cannot run here, and this is no fault of the backend."""


class BackendNotInstalled(BackendUnavailable, ImportError):
    """The backend's optional library is not installed; ``extra`` is the pip requirement that installs the library."""

    def __init__(self, text: str, extra: str):
        super().__init__(text)
        self.extra = extra


class BrokenBackend(BackendError):
    """The backend's module cannot be imported, or does not define a model class."""


UNREADABLE = "unreadable entry points"
"""Target of a package whose entry points cannot be read."""


@dataclass(frozen=True)
class _Source:
    """Where a backend is defined: ``target`` is a module or ``module:attribute``, as in an entry point."""

    target: str
    origin: str
    distribution: str


@dataclass(frozen=True)
class Backend:
    """A loaded backend: its name, its origin, as ``origins`` gives it, and its model class."""

    name: str
    origin: str
    model: type[Model]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Names of the dtypes that the backend supports."""
        return self.model.dtypes

    @property
    def compiles(self) -> bool:
        """Whether building the first model, or the first call of an operation, compiles code."""
        return self.model.compiles

    @property
    def compiles_shapes(self) -> bool:
        """Whether the backend compiles again for every new network and every new batch size."""
        return self.model.compiles_shapes

    @property
    def description(self) -> str:
        """The first line of the model class's docstring."""
        return (self.model.__doc__ or "").strip().split("\n")[0]

    def lacks(self, network: Network) -> Mapping[str, str]:
        """Map each operation that is unsupported for the network to the reason; see ``Model.lacks``."""
        return self.model.unsupported(network)

    def build(
        self, network: Network, parameters: Sequence[tuple[ArrayLike, ArrayLike]], dtype: Any = "float64"
    ) -> Model:
        """Build a model of the network from a copy of the parameters [(W, b), …].

        Raises TypeError or ValueError if the parameters do not fit the network or the dtype is not in ``dtypes``.
        """
        if not isinstance(network, Network):
            raise TypeError(f"network must be an impls.Network, not {type(network).__name__}")
        return self.model(network, parameters, _check.dtype(dtype, self.dtypes, self.name))


def names() -> list[str]:
    """Names of all backends, installed or not; no backend is imported. Raises DuplicateBackend."""
    return list(_sources())


def origins() -> dict[str, str]:
    """Map the name of each backend to its origin; no backend is imported.

    The origin is "core", "added" for any other file in ``impls/``, "peer", or "third party" for an entry point. Raises
    DuplicateBackend.
    """
    return {name: source.origin for name, source in _sources().items()}


def misnamed() -> dict[str, tuple[str, str]]:
    """Map each name that no backend can have to its origin and the reason in one line."""
    return {name: (source.origin, reason) for name, source in _found() if (reason := _refusal(name, source))}


def load(name: str) -> Backend:
    """Import a backend. Raises UnknownBackend, DuplicateBackend, BackendUnavailable or BrokenBackend."""
    sources = _sources()
    if not isinstance(name, str) or name not in sources:
        if isinstance(name, str) and (refused := misnamed().get(name)) is not None:
            raise UnknownBackend(refused[1])
        raise UnknownBackend(unknown_backend_message(name, list(sources)))
    source = sources[name]
    module, _, attribute = source.target.partition(":")
    try:
        target = operator.attrgetter(attribute or "Model")(importlib.import_module(module))
        model = target.Model if isinstance(target, ModuleType) else target
    except ModuleNotFoundError as error:
        extra = _missing_extra(error.name, source.distribution)
        if extra is None:
            raise BrokenBackend(f"backend {name} cannot be imported: {_message(error)}") from error
        raise BackendNotInstalled(
            f"backend {name} needs {error.name}, which is not installed: {install_command(extra)}", extra
        ) from error
    except BackendUnavailable as error:
        raise BackendUnavailable(f"backend {name} cannot run here: {error}") from error
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {_message(error)}"
        raise BrokenBackend(f"backend {name} cannot be imported: {text}") from error
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise BrokenBackend(f"backend {name} is broken: {source.target} is not a class derived from impls.Model")
    if fault := _wrong_attribute(model):
        raise BrokenBackend(f"backend {name} is broken: {fault}")
    return Backend(name, source.origin, model)


def _wrong_attribute(model: type[Model]) -> str:
    """What is wrong with the class attributes of a backend, in one line; empty if nothing is."""
    dtypes = model.dtypes
    if type(dtypes) is not tuple or not dtypes or not all(type(one) is str and one in DTYPES for one in dtypes):
        return f"dtypes must be a tuple of 'float64' or 'float32' or both, got {_check.abbreviated(dtypes)}"
    for attribute in ("compiles", "compiles_shapes"):
        if type(value := getattr(model, attribute)) is not bool:
            return f"{attribute} must be True or False, got {_check.abbreviated(value)}"
    if not isinstance(model.__doc__, str | None):
        return f"its docstring must be text, got {_check.abbreviated(model.__doc__)}"
    try:
        model.unsupported(Network((3, 3, 1)))
    except TypeError as error:
        return _message(error)
    except Exception as error:
        return f"lacks raises {type(error).__name__}: {_message(error)}"
    return ""


def unknown_backend_message(name: object, known: Sequence[str]) -> str:
    """The message for a name that no backend has; it suggests the most similar name, if one is similar."""
    hint = _check.suggestion(name, known)
    return f"no backend is named {_check.abbreviated(name)}{hint}; there are {', '.join(known)}"


def install_command(requirement: str) -> str:
    """The command that installs a distribution with an extra; this project is installed from its checkout."""
    extra = requirement.removeprefix("mlpbench[")
    return f"pip install '{requirement}'" if extra == requirement else f"pip install -c constraints.txt -e '.[{extra}'"


def _sources() -> dict[str, _Source]:
    sources: dict[str, _Source] = {}
    for name, source in _found():
        if not _refusal(name, source):
            _add_source(sources, name, source)
    order = [name for name in LEADING if name in sources] + sorted(set(sources) - set(LEADING))
    return {name: sources[name] for name in order}


def _refusal(name: str, source: _Source) -> str:
    """Why no backend can have this name, in one line; empty if one can."""
    begin = f"backend {name!r} of {source.distribution!r} is refused"
    if source.target == UNREADABLE:
        return f"the entry points of package {name!r} cannot be read; correct its entry_points.txt"
    if not name.isidentifier():
        return f"{begin}: its name must be a Python identifier"
    # A module impls/load.py would take the place of the function impls.load.
    if source.target == f"impls.{name}" and name in sys.modules["impls"].__all__:
        return f"{begin}: impls.{name} is part of the interface"
    return ""


def _found() -> Iterator[tuple[str, _Source]]:
    """The names and sources of all backends, also of those with a name that is refused."""
    here = Path(__file__).parent
    for file in sorted(here.glob("[!_]*.py")):
        yield file.stem, _Source(f"impls.{file.stem}", "core" if file.stem in CORE else "added", "mlpbench")
    for file in sorted(here.glob("peers/[!_]*.py")):
        yield file.stem, _Source(f"impls.peers.{file.stem}", "peer", "mlpbench")
    try:
        entry_points = list(metadata.entry_points(group=GROUP))
    except Exception:  # those of some package are malformed; the others can be read one by one
        yield from _found_by_package()
        return
    for entry_point in entry_points:
        yield entry_point.name, _third_party_source(entry_point)


def _third_party_source(entry_point: metadata.EntryPoint) -> _Source:
    target = entry_point.value.partition("[")[0].strip()  # without extras
    return _Source(target, "third party", entry_point.dist.name if entry_point.dist else "")


def _found_by_package() -> Iterator[tuple[str, _Source]]:
    """The backends of each installed package, and the name of each package whose entry points cannot be read."""
    for package in metadata.distributions():
        try:
            entry_points = list(package.entry_points.select(group=GROUP))
        except Exception:
            yield package.name, _Source(UNREADABLE, "third party", package.name)
        else:
            yield from ((one.name, _third_party_source(one)) for one in entry_points)


def _message(error: BaseException) -> str:
    """The message of an exception in one line; the exception may be the backend's own."""
    try:
        return " ".join(str(error).split())
    except Exception:
        return "(its message cannot be read)"


def _add_source(sources: dict[str, _Source], name: str, source: _Source) -> None:
    existing = sources.setdefault(name, source)
    if existing != source:
        raise DuplicateBackend(
            f"two backends are named {name}: {existing.target} ({existing.distribution}) and {source.target} "
            f"({source.distribution}); uninstall or rename one"
        )


def _missing_extra(module: str | None, distribution: str) -> str | None:
    """``distribution[extra]`` if the missing module is an optional requirement of the distribution, else None."""
    if module is None or importlib.util.find_spec(module.partition(".")[0]) is not None:
        return None
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        match = re.match(r"""([\w.-]+).*;.*extra\s*==\s*["']([\w.-]+)["']""", requirement)
        if match and re.sub(r"[-.]", "_", match[1]).lower() == module.lower():
            return f"{distribution}[{match[2]}]"
    return None
