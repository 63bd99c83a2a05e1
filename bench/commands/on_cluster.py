"""What the commands with ``--cluster`` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from bench.checkpoint import Checkpoint
from bench.cluster.connection import ClusterLost


def require_cluster(each_machine: bool, resume: bool) -> None:
    """Raise ValueError for an option that ``run`` has only on a cluster."""
    if each_machine:
        raise ValueError("--each-machine needs --cluster")
    if resume:
        raise ValueError("--resume needs --cluster: a run on this machine alone has no checkpoint")


@contextmanager
def losable(checkpoint: Checkpoint[Any]) -> Iterator[None]:
    """Report the loss of the cluster in one line that says what was saved."""
    try:
        yield
    except ClusterLost as lost:
        raise click.ClickException(f"{lost}; {checkpoint.saved()}") from lost
