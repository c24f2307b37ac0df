"""A network of its own for a gateway, so that every byte it sends and gets can be counted.

    with Namespace("gateway", 1) as gateway:
        Running("agent", folder, [*gateway.prefix, ...])     inside, it reaches us at gateway.host
        gateway.counted()                                    packets and bytes of IP, both ways

A namespace is joined to ours by a veth pair with an Ethernet's MTU and offloads that would put
several segments into one count turned off. The counters are the kernel's own. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import msgspec

ETHERNET_BYTES = 14
"""A header a frame, which isn't part of IP."""


class Counted(msgspec.Struct, frozen=True):
    """Packets and bytes, IP headers included; `up` is what the namespace sent."""

    up_packets: int = 0
    up_bytes: int = 0
    down_packets: int = 0
    down_bytes: int = 0

    @property
    def bytes(self) -> int:
        return self.up_bytes + self.down_bytes

    @property
    def packets(self) -> int:
        return self.up_packets + self.down_packets

    def __sub__(self, other: Counted) -> Counted:
        return Counted(
            *(getattr(self, name) - getattr(other, name) for name in self.__struct_fields__)
        )


def missing() -> str:
    """Why namespaces can't be had here, or an empty text."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return "" if shutil.which("ip") else "ip is not installed (apt-get install iproute2)"


class Namespace:
    """A namespace with one address, and ours at the other end.

    `number` (1 to 250) tells several of one run apart in their addresses.
    """

    def __init__(self, name: str, number: int) -> None:
        self._name = f"gpb{os.getpid()}-{name}"
        self._near, self._far = f"gpb{os.getpid() % 10000}n{number}", f"gpbf{number}"
        network = f"10.231.{number}"
        self.host, self._inside = f"{network}.1", f"{network}.2"

    @property
    def prefix(self) -> list[str]:
        """What stands before a command that runs inside."""
        return ["ip", "netns", "exec", self._name]

    def counted(self) -> Counted:
        """What has passed so far."""
        statistics = Path("/sys/class/net") / self._near / "statistics"

        def count(name: str) -> int:
            return int((statistics / name).read_text(encoding="utf-8"))

        up, down = count("rx_packets"), count("tx_packets")
        return Counted(
            up,
            count("rx_bytes") - up * ETHERNET_BYTES,
            down,
            count("tx_bytes") - down * ETHERNET_BYTES,
        )

    def __enter__(self) -> Self:
        one_segment = ["gso_max_segs", "1"]
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
            _ip("link", "set", self._far, "netns", self._name)
            for prefix, device, address in (
                ([], self._near, self.host),
                (["-n", self._name], self._far, self._inside),
            ):
                _ip(*prefix, "link", "set", device, "addrgenmode", "none")  # no IPv6 chatter
                _ip(*prefix, "addr", "add", f"{address}/24", "dev", device)
                _ip(*prefix, "link", "set", device, "up", *one_segment)
            _ip("-n", self._name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _ip("netns", "del", self._name)
        # The pair goes with the namespace once its last socket has; not to be waited for.
        subprocess.run(["ip", "link", "del", self._near], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
