"""Where the simulated WiFi corners listen: picked once, kept beside the ptys.

Whoever needs them first (the city that serves them, or the gateway files that name them) picks free
ports of 127.0.0.1 and leaves them in the city's directory; the other reads them there.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import msgspec

from simulators.city import City

HOST = "127.0.0.1"
USERNAME = "gampong"
PROBE_NAME = "portal.gampong.test"
"""The one name that a corner's DNS server answers."""

_FILE, _SERIAL_FILE = "corners.json", "serial.json"


class Endpoints(msgspec.Struct, frozen=True):
    """Ports of one corner: the access point's HTTP (ubus or REST) and SNMP, and what the gateway's
    probes ask. `password` is SNMP's community as well."""

    ubus: int
    portal: int
    connect: int
    dns: int
    password: str
    snmp: int = 0

    @property
    def ubus_url(self) -> str:
        return f"http://{HOST}:{self.ubus}/ubus"

    @property
    def rest_url(self) -> str:
        """RouterOS's, without its /rest."""
        return f"http://{HOST}:{self.ubus}"

    @property
    def portal_url(self) -> str:
        return f"http://{HOST}:{self.portal}/generate_204"


def endpoints_of(city: City, directory: Path) -> dict[str, Endpoints]:
    """The endpoints of every corner, by its name."""
    path = directory / _FILE
    known = _read(path)
    if all(corner.name in known for corner in city.corners):
        return known
    taken: list[socket.socket] = []
    try:
        for corner in city.corners:
            known[corner.name] = Endpoints(
                ubus=_free_port(socket.SOCK_STREAM, taken),
                portal=_free_port(socket.SOCK_STREAM, taken),
                connect=_free_port(socket.SOCK_STREAM, taken),
                dns=_free_port(socket.SOCK_DGRAM, taken),
                snmp=_free_port(socket.SOCK_DGRAM, taken),
                password=secrets.token_hex(8),
            )
    finally:
        for probe in taken:
            probe.close()
    write_private(path, msgspec.json.encode(known))
    return known


def serial_ports_of(city: City, directory: Path) -> dict[str, int]:
    """The TCP port of every bus and UART, by the port's name; picked once as well."""
    path = directory / _SERIAL_FILE
    names = {one.bus or one.uart for one in city.devices if one.bus or one.uart}
    known = msgspec.json.decode(path.read_bytes(), type=dict[str, int]) if path.exists() else {}
    taken: list[socket.socket] = []
    try:
        for name in sorted(names - known.keys()):
            known[name] = _free_port(socket.SOCK_STREAM, taken)
    finally:
        for probe in taken:
            probe.close()
    write_private(path, msgspec.json.encode(known))
    return known


def write_private(path: Path, data: bytes) -> None:
    """A whole file that only its owner reads, or the one before."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_bytes(data)
    fresh.replace(path)


def _read(path: Path) -> dict[str, Endpoints]:
    if not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Endpoints])


def _free_port(kind: socket.SocketKind, taken: list[socket.socket]) -> int:
    """One that nobody has now, nor any that this call picked before."""
    probe = socket.socket(socket.AF_INET, kind)
    taken.append(probe)
    probe.bind((HOST, 0))
    port: int = probe.getsockname()[1]
    return port
