"""Hosts on one machine: processes with a disk, a host name and, where the machine allows it, a network address each.

::

    with host_network() as network:
        host = network.add("worker-1", folder)
        process = host.start([sys.executable, "-m", "program"], env=os.environ)
        host.kill()                        # as if its power failed: all processes at once
        host.wipe()                        # as if it came back as another machine

For root on Linux a host has a network namespace on a bridge, a UTS namespace and a PID namespace. Elsewhere all hosts
share the address 127.0.0.1 and the machine's name, and only their disks differ. Hosts behind one address, as behind
NAT, are made by ``host_network(own_addresses=False)``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from support.processes import end_session

_SUBNETS = range(64, 128)
# A shell is the first process of a PID namespace and stays, because the first process must reap others.
_AS_HOST = 'hostname "$0" && "$@"; exit $?'
_CALL = """
import importlib, json, sys
module, _, name = sys.argv[1].partition(":")
print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))))
"""


class Host:
    """One host. Its processes end with the network.

    :param name: its host name.
    :param folder: its disk.
    :param address: its IP address.
    :param namespace: its network namespace, None for the machine's own.
    """

    def __init__(self, name: str, folder: Path, address: str, namespace: str | None) -> None:
        self.name = name
        self.folder = folder
        self.address = address
        self.namespace = namespace
        self.processes: list[subprocess.Popen[bytes]] = []
        self.wipe()

    @property
    def env(self) -> dict[str, str]:
        """The variables in which processes look for their folders, and the host's name.

        Airflow and the provider keep their files below Airflow's home, and so on the disk of the host alone.
        """
        return {
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "HOSTNAME": self.name,
        }

    def start(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process on the host.

        :param env: all its variables, but for those of the host.
        :param options: for ``Popen``.
        """
        process = subprocess.Popen(
            [*self._prefix(), *command],
            env={**env, **self.env},
            **{"cwd": self.folder, "stdin": subprocess.DEVNULL, "start_new_session": True, **options},
        )
        self.processes.append(process)
        return process

    def call(self, function: str, *, env: Mapping[str, str] | None = None, **arguments: Any) -> subprocess.Popen[bytes]:
        """Call a function in a new process, which prints its result as JSON.

        :param function: ``module:name``; modules of the tests and those of this process can be imported.
        :param arguments: keyword arguments of the function, as JSON has them.
        """
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return self.start(
            [sys.executable, "-c", _CALL, function, json.dumps(arguments)],
            env={**os.environ, **paths, **(env or {})},
            stdout=subprocess.PIPE,
        )

    def kill(self) -> None:
        """Kill all its processes at once."""
        end_session(self.processes, timeout=0)
        self.processes = []

    def wipe(self) -> None:
        """Empty its disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True)

    def _prefix(self) -> list[str]:
        if not has_namespaces():
            return []
        network = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        unshare = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return [*network, *unshare, "sh", "-c", _AS_HOST, self.name]


class HostNetwork:
    """Hosts that reach this machine, and it them.

    :param subnet: number of the network; None if all have the address of this machine.
    """

    def __init__(self, subnet: int | None) -> None:
        self._subnet = subnet
        self.hosts: list[Host] = []

    @property
    def gateway(self) -> str:
        """The address at which the hosts reach this machine."""
        return "127.0.0.1" if self._subnet is None else f"10.77.{self._subnet}.1"

    def add(self, name: str, folder: Path) -> Host:
        """Add a host.

        :param folder: its disk, which is emptied.
        """
        if self._subnet is None:
            host = Host(name, folder, self.gateway, None)
        else:
            number = len(self.hosts) + 2
            host = Host(name, folder, f"10.77.{self._subnet}.{number}", self._add_namespace(number))
        self.hosts.append(host)
        return host

    def close(self) -> None:
        """Kill the processes of all hosts, and remove the network."""
        for host in self.hosts:
            host.kill()
            if host.namespace is not None:
                _ip("netns", "delete", host.namespace, check=False)
        if self._subnet is not None:
            _ip("link", "delete", f"fleet{self._subnet}", check=False)

    def _add_namespace(self, number: int) -> str:
        bridge = f"fleet{self._subnet}"
        name, outside = f"{bridge}-{number}", f"fl{self._subnet}-{number}"
        _ip("netns", "add", name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", outside, "master", bridge, "up")
        _ip("-n", name, "address", "add", f"10.77.{self._subnet}.{number}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return name


@contextlib.contextmanager
def host_network(*, own_addresses: bool = True) -> Iterator[HostNetwork]:
    """Yield a network without hosts; everything on it ends with the block.

    :param own_addresses: whether each host has an address of its own, where the machine allows it.
    """
    network = HostNetwork(_claim_subnet() if own_addresses and has_namespaces() else None)
    try:
        yield network
    finally:
        network.close()


@cache
def has_namespaces() -> bool:
    """Return whether this machine gives hosts addresses and names of their own."""
    programs = ("ip", "unshare", "hostname")
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, programs)):
        return False
    probe = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "ip", "link", "add", "p0", "type", "veth"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _claim_subnet() -> int:
    """Create a bridge that no other process has, and return its number."""
    for subnet in _SUBNETS:
        if _ip("link", "add", f"fleet{subnet}", "type", "bridge", check=False) == 0:
            _ip("address", "add", f"10.77.{subnet}.1/24", "dev", f"fleet{subnet}")
            _ip("link", "set", f"fleet{subnet}", "up")
            return subnet
    raise RuntimeError("All networks are in use. Remove what ended tests have left: ip link delete fleet64, ...")


def _ip(*arguments: str, check: bool = True) -> int:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.returncode
