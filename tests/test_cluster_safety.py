"""A cluster of one's own listens on loopback alone, and encrypts with the given certificates."""

import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from bench.cluster import pool as pools
from bench.cluster.connection import Connection
from bench.cluster.pool import open_pool
from tests.helpers import ROOT

distributed = pytest.importorskip("distributed", reason="the cluster needs Dask")

# Every test starts processes.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_tree(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def listening():
    """The addresses on which this process and its descendants listen."""
    own = psutil.Process()
    return {
        connection.laddr.ip
        for process in (own, *own.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_a_cluster_of_ones_own_listens_on_loopback_alone_and_does_not_get_ctrl_c():
    before = listening()
    with open_pool(Connection(workers=1), ["numpy_plain"], 1, print) as pool:
        (machine,) = pool.machines()
        assert machine.workers[0].startswith("tcp://127.0.0.1:")
        assert "127.0.0.1" in listening()
        assert listening() - before <= {"127.0.0.1"}
        assert pool.client.run(lambda: __import__("os").environ.get("MALLOC_TRIM_THRESHOLD_")) == {
            machine.workers[0]: None
        }
        workers = pool.client.run(os.getpid)
        os.kill(workers[machine.workers[0]], signal.SIGINT)
        time.sleep(0.2)
        assert pool.client.run(os.getpid) == workers
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_ctrl_c_while_a_cluster_starts_closes_the_cluster(monkeypatch):
    closed = []

    class Interrupted(pools.LocalCluster):
        def __init__(self, *arguments, **options):
            os.kill(os.getpid(), signal.SIGINT)
            super().__init__(*arguments, **options)

        def close(self, timeout=None):
            closed.append(len(self.workers))
            return super().close(timeout)

    monkeypatch.setattr(pools, "LocalCluster", Interrupted)
    with pytest.raises(KeyboardInterrupt), open_pool(Connection(workers=1), ["numpy_plain"], 1, print):
        pass
    assert closed[0] == 1


def certificate(folder, name, authority=None):
    """Make a key and a certificate with openssl: of an authority, or signed by one; return their files."""
    key, request, signed = (str(folder / f"{name}.{kind}") for kind in ("key", "csr", "crt"))
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]  # which is made sooner than one of RSA
    new = ["openssl", "req", *kind, "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
    if authority is None:
        subprocess.run([*new, "-x509", "-days", "2", "-out", signed], check=True, capture_output=True)
    else:
        ca, ca_key = authority
        subprocess.run([*new, "-out", request], check=True, capture_output=True)
        by = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-out", signed]
        subprocess.run(["openssl", "x509", "-req", "-in", request, *by], check=True, capture_output=True)
    return signed, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates need openssl")
def test_certificates_encrypt_the_connections_and_strangers_are_refused(tmp_path, monkeypatch):
    ca, ca_key = certificate(tmp_path, "ca")
    own, own_key = certificate(tmp_path, "own", (ca, ca_key))
    other_ca, other_ca_key = certificate(tmp_path, "other-ca")
    stranger, stranger_key = certificate(tmp_path, "stranger", (other_ca, other_ca_key))
    with open_pool(Connection(workers=1, tls=(ca, own, own_key)), ["numpy_plain"], 1, print) as pool:
        address = pool.client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        assert all(worker.startswith("tls://127.0.0.1:") for machine in pool.machines() for worker in machine.workers)
        known = Connection.of(address, 1, ca, own, own_key, insecure=False)
        with open_pool(known, ["numpy_plain"], 1, print) as same:
            assert same.machines() == pool.machines()
        with (
            pytest.raises(ValueError, match="cannot reach a Dask scheduler at tls://"),
            open_pool(Connection.of(address, 1, ca, stranger, stranger_key, insecure=False), [], 1, print),
        ):
            pass
        monkeypatch.setattr(pools, "CONNECT_SECONDS", 1.0)
        plain = address.replace("tls://", "tcp://")
        with (
            pytest.raises(ValueError, match="cannot reach a Dask scheduler at tcp://"),
            open_pool(Connection.of(plain, 1, None, None, None, insecure=False), [], 1, print),
        ):
            pass
