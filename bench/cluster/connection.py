"""How to reach a cluster, and whether that is safe. Imports nothing of Dask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

LOCAL = "local"
"""Stands for a new cluster on this machine, in the place of an address."""

LOOPBACK = "127.0.0.1"


class ClusterLost(RuntimeError):
    """The scheduler, or all workers that could go on, are gone; the message explains it in one line."""


@dataclass(frozen=True)
class Connection:
    """A cluster: ``address`` is that of its scheduler, or None for a new cluster of ``workers`` on this machine.

    ``tls`` are the files of the certificate authority, of the own certificate and of its key, or None for a plain
    connection. A plain connection to another machine is allowed only if ``insecure`` is true.
    """

    address: str | None = None
    workers: int = 2
    tls: tuple[str, str, str] | None = None
    insecure: bool = False

    @classmethod
    def of(
        cls,
        cluster: str,
        workers: int,
        ca_file: str | None,
        certificate: str | None,
        key: str | None,
        insecure: bool,
    ) -> Connection:
        """The connection that the options of a command describe. Raises ValueError if they do not fit together."""
        address = None if cluster == LOCAL else _scheduler_address(cluster)
        if workers < 1:
            raise ValueError(f"--cluster-workers must be at least 1; got {workers}")
        given = {"--tls-ca-file": ca_file, "--tls-cert": certificate, "--tls-key": key}
        missing = [option for option, value in given.items() if value is None]
        encrypted = address is not None and address.startswith("tls:")
        if missing and (encrypted or len(missing) < len(given)):
            raise ValueError(f"a connection with TLS also needs {' and '.join(missing)}")
        if address is not None and not missing and not encrypted:
            raise ValueError(f"{address} is a plain connection, which takes no certificate; did you mean tls://?")
        for option, value in given.items():
            if value is not None and not Path(value).is_file():
                raise ValueError(f"{option}: there is no file {value}")
        tls = None if ca_file is None or certificate is None or key is None else (ca_file, certificate, key)
        connection = cls(address, workers, tls, insecure)
        if address is not None:
            connection.require_safe(address)
        return connection

    def require_safe(self, address: str) -> None:
        """Raise ValueError if a connection to the address is plain, leaves this machine, and is not allowed."""
        if not (self.insecure or address.startswith("tls:") or is_loopback(urlsplit(address).hostname or "")):
            raise ValueError(
                f"{address} is a plain connection to another machine: anyone on the way can read it, and run code on "
                "the cluster; use tls:// with certificates, or allow it with --insecure-cluster"
            )


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine: a loopback address, or the name localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _scheduler_address(text: str) -> str:
    """The address with its scheme; the name of a scheduler file stands for the address in it. Raises ValueError."""
    if text.endswith(".json"):
        text = _address_in(Path(text))
    address = text if "://" in text else f"tcp://{text}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address of a scheduler: {error}") from None
    if parts.scheme not in ("tcp", "tls") or not host or not port or parts.path or parts.query or parts.username:
        raise ValueError(f"{text!r} is no address of a scheduler; write tcp://HOST:PORT or tls://HOST:PORT")
    # Made of the parts that were checked, so that nobody can read another host into the text.
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _address_in(path: Path) -> str:
    """The address in a file that ``dask scheduler --scheduler-file`` wrote. Raises ValueError."""
    try:
        address = json.loads(path.read_bytes())["address"]
    except OSError as error:
        raise ValueError(f"cannot read the scheduler file {path}: {error.strerror}") from None
    except (ValueError, RecursionError, TypeError, KeyError):
        address = None
    if not isinstance(address, str) or address.endswith(".json"):
        raise ValueError(f"{path} is no scheduler file: it has no address")
    return address
