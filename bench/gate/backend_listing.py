"""Which backends a revision has, each imported in a process of that revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.cases import Case
from pairbench import rounds
from pairbench.gate_protocol import BackendDescription, DescribeBackend, Failure, ListBackends
from pairbench.rounds import ProcessDied, RoundProcesses

ONLY = ""
"""The one side there is."""


@dataclass(frozen=True)
class BackendListing:
    """By name, in their order, where backends come from and what is found of them."""

    origins: dict[str, str]
    found: dict[str, BackendDescription]


def list_backends(tree: Path, cases: Sequence[Case]) -> BackendListing:
    """The backends of a tree. One that ends its process is broken, and the others are asked in a fresh one.

    Raises ValueError where the tree cannot even say which there are.
    """
    networks = tuple(
        (case.network.layer_sizes, case.network.hidden, case.network.output, case.network.loss) for case in cases
    )
    origins: dict[str, str] = {}
    found: dict[str, BackendDescription] = {}
    while not origins or len(found) < len(origins):
        with rounds.open_processes({ONLY: tree}, Random(0)) as sides:
            origins = origins or _origins(tree, sides)
            for name in [name for name in origins if name not in found]:
                try:
                    answer = sides.ask(ONLY, ONLY, DescribeBackend(name, networks), rounds.BUILD_TIMEOUT)
                except ProcessDied as death:
                    found[name] = _broken(name, str(death))
                    break
                found[name] = _broken(name, answer.reason) if isinstance(answer, Failure) else answer
    return BackendListing(origins, found)


def _broken(name: str, reason: str) -> BackendDescription:
    return BackendDescription(name, (), f"{name} cannot be imported: {reason}", True, ())


def _origins(tree: Path, sides: RoundProcesses) -> dict[str, str]:
    try:
        answer = sides.ask(ONLY, ONLY, ListBackends(), rounds.BUILD_TIMEOUT)
    except ProcessDied as death:
        answer = Failure(f"{death}: {sides.last_line(ONLY)}")
    if isinstance(answer, Failure):
        raise ValueError(f"the backends of {tree} cannot be listed: {answer.reason}")
    if not answer:
        raise ValueError(f"{tree} has no backends")
    return dict(answer)
