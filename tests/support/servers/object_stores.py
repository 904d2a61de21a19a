"""Emulators of object stores, each with an empty bucket, and the file system of its library."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from support.servers.http import serving

S3_KEY = "AKIAEMULATED"
S3_SECRET = "emulated-secret-9d1c"
#: The account and key that Azurite has (https://learn.microsoft.com/azure/storage/common/storage-use-azurite).
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
STORES = ("s3", "gcs", "azure")


@contextmanager
def running_store(kind: str, folder: Path) -> Iterator[tuple[Any, str]]:
    """Run an emulator; yield its file system and a bucket. Skips the test where the emulator is not installed."""
    runner = {"s3": _running_moto, "gcs": _running_gcs, "azure": _running_azurite}[kind]
    with runner(folder) as found:
        yield found


@contextmanager
def running_moto() -> Iterator[str]:
    """Run moto's S3 in this process; yield its URL. Every key is accepted."""
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        "127.0.0.1", _free_port()
    )
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class _Refusal(BaseHTTPRequestHandler):
    """Answers every request as S3 does for a key that it does not know."""

    def do_GET(self) -> None:
        """Refuse."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<Error><Code>InvalidAccessKeyId</Code><Message>" + S3_KEY.encode() + b"</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_GET  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def refusing_s3() -> Iterator[str]:
    """Serve an S3 that refuses all credentials; yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusal) as server, serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def _running_moto(folder: Path) -> Iterator[tuple[Any, str]]:
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    with running_moto() as url:
        filesystem = s3fs.S3FileSystem(
            key=S3_KEY, secret=S3_SECRET, endpoint_url=url, client_kwargs={"region_name": "eu-central-1"}
        )
        bucket = f"b{uuid.uuid4().hex}"
        filesystem.mkdir(bucket)
        yield filesystem, bucket


@contextmanager
def _running_gcs(folder: Path) -> Iterator[tuple[Any, str]]:
    server_module = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed")
    # The file system that gcsfs exports also asks Google for the kind of the bucket, in another protocol.
    gcsfs = pytest.importorskip("gcsfs.core", reason="gcsfs is not installed")
    bucket, port = f"b{uuid.uuid4().hex}", _free_port()
    server = server_module.create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket)
    server.start()
    try:
        yield gcsfs.GCSFileSystem(endpoint_url=f"http://127.0.0.1:{port}", token="anon"), bucket
    finally:
        server.stop()


@contextmanager
def _running_azurite(folder: Path) -> Iterator[tuple[Any, str]]:
    adlfs = pytest.importorskip("adlfs", reason="adlfs is not installed")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite is not installed: npm install azurite, and put node_modules/.bin into PATH")
    port = _free_port()
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    with subprocess.Popen([*command, "--skipApiVersionCheck"], stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
            settings = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={endpoint};"
            filesystem = adlfs.AzureBlobFileSystem(connection_string=f"DefaultEndpointsProtocol=http;{settings}")
            container = f"c{uuid.uuid4().hex}"
            filesystem.mkdir(container)
            yield filesystem, container
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int) -> None:
    """Wait until something answers at a port."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing answers at port {port}")
