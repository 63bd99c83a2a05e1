"""Which backends a revision has, each imported in a process of that revision.

A process that measures another revision imports this module. So ``list_origins`` and ``describe_backend`` use of
``impls`` the names of the contract alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import impls
from pairbench import rounds
from pairbench.error_text import describe_error
from pairbench.gate_protocol import CallFunction, Failure
from pairbench.rounds import ProcessDied, RoundProcesses
from pairbench.worktrees import Worktree

if TYPE_CHECKING:
    from bench.cases import Case

ONLY = ""
"""The one side there is."""

NetworkFields = tuple[tuple[int, ...], str, str, str]
"""Layer sizes, hidden activation, output activation and loss."""


@dataclass(frozen=True)
class BackendDescription:
    """A backend of a revision. ``reason``: why it cannot be used, empty where it can.

    A backend that cannot be used is ``broken``, or something that it needs is not installed. ``unsupported`` has by
    network the operations that it does not support.
    """

    name: str
    dtypes: tuple[str, ...]
    reason: str
    broken: bool
    unsupported: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class BackendListing:
    """By name, in their order, the origins of backends and their descriptions."""

    origins: dict[str, str]
    found: dict[str, BackendDescription]


def list_backends(worktree: Worktree, cases: Sequence[Case]) -> BackendListing:
    """The backends of a revision. One that ends its process is broken, and the others are asked in a fresh one.

    Raises ValueError where the revision cannot even list them.
    """
    networks = tuple(
        (case.network.layer_sizes, case.network.hidden, case.network.output, case.network.loss) for case in cases
    )
    origins: dict[str, str] = {}
    found: dict[str, BackendDescription] = {}
    while not origins or len(found) < len(origins):
        with rounds.open_processes({ONLY: worktree}, Random(0)) as processes:
            origins = origins or _ask_origins(worktree, processes)
            for name in [name for name in origins if name not in found]:
                request = CallFunction(describe_backend, (name, networks))
                try:
                    answer = processes.ask(ONLY, ONLY, request, rounds.BUILD_TIMEOUT)
                except ProcessDied as death:
                    found[name] = _broken(name, str(death))
                    break
                found[name] = _broken(name, answer.reason) if isinstance(answer, Failure) else answer
    return BackendListing(origins, found)


def list_origins() -> dict[str, str]:
    """In a measuring process: where each backend comes from, by name."""
    return dict(impls.origins())


def describe_backend(name: str, networks: Sequence[NetworkFields]) -> BackendDescription:
    """In a measuring process: import a backend, and ask what it does not support for these networks."""
    built = [impls.Network(sizes, hidden=h, output=o, loss=loss) for sizes, h, o, loss in networks]
    try:
        backend = impls.load(name)
        unsupported = tuple(tuple(backend.lacks(network)) for network in built)
        return BackendDescription(name, tuple(map(str, backend.dtypes)), "", False, unsupported)
    except impls.BackendNotInstalled as error:
        return BackendDescription(name, (), str(error), False, ())
    except impls.BackendError as error:
        return BackendDescription(name, (), str(error), True, ())
    except Exception as error:  # a backend may raise anything
        return BackendDescription(name, (), f"{name} cannot be asked what it is: {describe_error(error)}", True, ())


def _broken(name: str, reason: str) -> BackendDescription:
    return BackendDescription(name, (), f"{name} cannot be imported: {reason}", True, ())


def _ask_origins(worktree: Worktree, processes: RoundProcesses) -> dict[str, str]:
    try:
        answer = processes.ask(ONLY, ONLY, CallFunction(list_origins), rounds.BUILD_TIMEOUT)
    except ProcessDied as death:
        answer = Failure(f"{death}: {processes.last_line(ONLY)}")
    if isinstance(answer, Failure):
        raise ValueError(f"the backends of {worktree.path} cannot be listed: {answer.reason}")
    if not answer:
        raise ValueError(f"{worktree.path} has no backends")
    return dict(answer)
