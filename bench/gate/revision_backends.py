"""Lists the backends of a revision, from a worker process that imports that revision.

A worker that imports another revision of ``impls`` calls ``list_origins`` and ``describe_backend``. These functions
therefore use only those names of ``impls`` that every revision has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import impls
from pairbench import round_processes, rounds
from pairbench.error_text import describe_error
from pairbench.gate_protocol import CallFunction, Failure
from pairbench.round_processes import ProcessDied, RoundProcesses
from pairbench.worktrees import Worktree

if TYPE_CHECKING:
    from bench.cases import Case

ONLY = ""
"""Name of the only side, and of the only row, of the processes that list backends."""

NetworkFields = tuple[tuple[int, ...], str, str, str]
"""Layer sizes, hidden activation, output activation and loss."""


@dataclass(frozen=True)
class BackendDescription:
    """A backend of a revision.

    ``reason`` explains why the backend cannot be used: it is ``broken``, or a library that it needs is not installed.
    ``reason`` is empty if the backend can be used. ``unsupported`` lists the unsupported operations for each network.
    """

    name: str
    dtypes: tuple[str, ...]
    reason: str
    broken: bool
    unsupported: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class BackendListing:
    """Origins and descriptions of the backends of a revision, by name, in the order of the revision."""

    origins: dict[str, str]
    descriptions: dict[str, BackendDescription]


class RevisionBroken(ValueError):
    """A revision cannot list its backends; ``reason`` explains why in one line."""

    def __init__(self, place: Path, reason: str):
        super().__init__(f"the backends of {place} cannot be listed: {reason}")
        self.reason = reason


def broken_like(listing: BackendListing, reason: str) -> BackendListing:
    """A listing of the same backends, all of them broken for this reason."""
    return BackendListing(listing.origins, {name: _broken(name, reason) for name in listing.origins})


def list_backends(worktree: Worktree, cases: Sequence[Case]) -> BackendListing:
    """The backends of a revision.

    If importing a backend ends the worker process, the backend is broken, and a fresh process describes the others.
    Raises RevisionBroken if the revision cannot list its backends.
    """
    networks = tuple(
        (case.network.layer_sizes, case.network.hidden, case.network.output, case.network.loss) for case in cases
    )
    origins: dict[str, str] = {}
    descriptions: dict[str, BackendDescription] = {}
    while not origins or len(descriptions) < len(origins):
        with round_processes.open_processes({ONLY: worktree}, Random(0)) as processes:
            origins = origins or _ask_origins(worktree, processes)
            for name in [name for name in origins if name not in descriptions]:
                request = CallFunction(describe_backend, (name, networks))
                try:
                    answer = processes.ask(ONLY, ONLY, request, rounds.BUILD_TIMEOUT)
                except ProcessDied as death:
                    descriptions[name] = _broken(name, str(death))
                    break
                descriptions[name] = _broken(name, answer.reason) if isinstance(answer, Failure) else answer
    return BackendListing(origins, descriptions)


def list_origins() -> dict[str, str]:
    """In a worker process: the origin of each backend, also of those with a name that no backend can have."""
    return {**impls.origins(), **{name: origin for name, (origin, _) in _misnamed().items()}}


def _misnamed() -> Mapping[str, tuple[str, str]]:
    return getattr(impls, "misnamed", dict[str, tuple[str, str]])()  # older revisions lack it


def describe_backend(name: str, networks: Sequence[NetworkFields]) -> BackendDescription:
    """In a worker process: import a backend, and list the operations that it does not support for these networks."""
    if name in _misnamed():
        return BackendDescription(name, (), _misnamed()[name][1], False, ())
    network_objects = [impls.Network(sizes, hidden=h, output=o, loss=loss) for sizes, h, o, loss in networks]
    unavailable = getattr(impls, "BackendUnavailable", impls.BackendNotInstalled)  # older revisions lack the former
    try:
        backend = impls.load(name)
        unsupported = tuple(tuple(backend.lacks(network)) for network in network_objects)
        return BackendDescription(name, tuple(map(str, backend.dtypes)), "", False, unsupported)
    except unavailable as error:
        return BackendDescription(name, (), str(error), False, ())
    except impls.BackendError as error:
        return BackendDescription(name, (), str(error), True, ())
    except Exception as error:  # a backend may raise anything
        return BackendDescription(name, (), f"{name} cannot be described: {describe_error(error)}", True, ())


def _broken(name: str, reason: str) -> BackendDescription:
    return BackendDescription(name, (), f"{name} cannot be imported: {reason}", True, ())


def _ask_origins(worktree: Worktree, processes: RoundProcesses) -> dict[str, str]:
    try:
        answer = processes.ask(ONLY, ONLY, CallFunction(list_origins), rounds.BUILD_TIMEOUT)
    except ProcessDied as death:
        answer = Failure(f"{death}: {processes.last_line(ONLY)}")
    if isinstance(answer, Failure):
        raise RevisionBroken(worktree.path, answer.reason)
    if not answer:
        raise RevisionBroken(worktree.path, "there are none")
    return dict(answer)
