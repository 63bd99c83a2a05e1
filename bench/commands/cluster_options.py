"""The options of a command that describe a cluster."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from bench.cluster.connection import Connection


@dataclass(frozen=True)
class ClusterOptions:
    """The values of the options; ``cluster`` is an address, or ``connection.LOCAL``."""

    cluster: str
    cluster_workers: int
    tls_ca_file: str | None
    tls_cert: str | None
    tls_key: str | None
    insecure_cluster: bool

    def connection(self) -> Connection:
        """The connection. Raises ValueError if Dask is not installed, or the options do not fit together."""
        if importlib.util.find_spec("distributed") is None:
            from impls._registry import install_command  # imports NumPy, which must wait for the thread counts

            raise ValueError(f"--cluster needs Dask, which is not installed: {install_command('mlpbench[cluster]')}")
        return Connection.of(
            self.cluster,
            self.cluster_workers,
            self.tls_ca_file,
            self.tls_cert,
            self.tls_key,
            self.insecure_cluster,
        )
