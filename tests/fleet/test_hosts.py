from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.hosts import has_namespaces, host_network
from support.waiting import wait_until

needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="this machine gives hosts no names and addresses")


def run(host, *code: str) -> str:
    process = host.start([sys.executable, "-c", *code], env=os.environ, stdout=subprocess.PIPE)
    return process.communicate(timeout=60)[0].decode().strip()


def test_a_function_is_called_in_a_new_process_with_an_empty_home(tmp_path: Path) -> None:
    with host_network() as network:
        host = network.add("pod", tmp_path / "pod")
        printed, _ = host.call("os:listdir", path=host.env["HOME"]).communicate(timeout=60)
        assert json.loads(printed) == []


def test_a_lost_host_has_no_process_left_and_comes_back_with_an_empty_disk(tmp_path: Path) -> None:
    with host_network() as network:
        host = network.add("worker", tmp_path / "worker")
        program = "import os, pathlib, time; os.fork(); pathlib.Path(str(os.getpid())).touch(); time.sleep(600)"
        leader = host.start([sys.executable, "-c", program], env=os.environ)
        wait_until(lambda: len(list(host.folder.glob("[0-9]*"))) == 2, timeout=60)
        members = psutil.Process(leader.pid).children(recursive=True)
        host.kill()
        wait_until(lambda: not any(map(is_alive, members)), timeout=30)
        host.wipe()
        assert sorted(path.name for path in host.folder.iterdir()) == ["home", "tmp"]


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@needs_namespaces
def test_hosts_have_names_and_addresses_of_their_own_and_reach_the_gateway(tmp_path: Path) -> None:
    with host_network() as network:
        hosts = [network.add(name, tmp_path / name) for name in ("one", "two")]
        assert [run(host, "import socket; print(socket.gethostname())") for host in hosts] == ["one", "two"]
        reach = "import socket, sys; s = socket.socket(2, 2); s.connect((sys.argv[1], 9)); print(s.getsockname()[0])"
        assert [run(host, reach, network.gateway) for host in hosts] == [host.address for host in hosts]
        assert len({network.gateway, *(host.address for host in hosts)}) == 3


@needs_namespaces
def test_hosts_behind_one_address_have_names_of_their_own(tmp_path: Path) -> None:
    with host_network(own_addresses=False) as network:
        hosts = [network.add(name, tmp_path / name) for name in ("one", "two")]
        assert [run(host, "import socket; print(socket.gethostname())") for host in hosts] == ["one", "two"]
        assert {host.address for host in hosts} == {network.gateway}
