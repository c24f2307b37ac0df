"""A city with an authority and a broker that knows it, set up by the commands an operator gives."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.servers import Mosquitto, free_port
from wire import mqtt
from wire.mqtt_link import Link

PLUGINS = sorted(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
ANSWER_S = 10.0
A, B = "mahirah-01", "ulee-lheue-02"
PASSPHRASE = "correct horse battery"


class City(NamedTuple):
    """A broker that runs, and where its authority is."""

    broker: Mosquitto
    folder: Path
    settings: Path

    def context(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "authority" / "ca.pem")
        own = self.folder / "authority"
        pem = own / f"{name}.pem"
        context.load_cert_chain(pem, own / f"{name}.key")
        return context


def gampong(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def done(*words: str | Path) -> str:
    run = gampong(*words)
    assert run.returncode == 0, run.stderr
    return run.stdout


@contextmanager
def trusted_city(folder: Path, more: str = "") -> Iterator[City]:
    """With gateways A and B enrolled, and `more` keys for `[authority]`."""
    assert PLUGINS, "mosquitto's dynamic security plugin: apt-get install mosquitto"
    port = free_port()
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    (folder / "passphrase").chmod(0o600)
    settings = folder / "authority.toml"
    settings.write_text(
        f'[authority]\ncity = "banda-aceh"\nfolder = "{folder}/authority"\n'
        f'passphrase_file = "{folder}/passphrase"\n{more}\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\nhosts = "localhost"\n'
        f'folder = "{folder}/served"\nplugin = "{PLUGINS[0]}"\nreload = []\n'
    )
    done("gateway", "authority", settings)
    for name in (A, B):
        bundle = folder / f"{name}.bundle"
        done("gateway", "add", settings, name, "--site", "pasar", "--bundle", bundle, "--offline")
        done("edge", "enrol", bundle, "--folder", folder / name)
        for kind in ("pem", "key"):
            (folder / "authority" / f"{name}.{kind}").symlink_to(folder / name / f"gateway.{kind}")
    stranger_of(folder, settings)
    conf = (folder / "served" / "mosquitto.conf").read_text()
    with Mosquitto(folder / "broker", port, conf) as broker:
        # Offline ones come to a running broker when their command is given again.
        for name in (A, B):
            done("gateway", "add", settings, name, "--site", "pasar", "--bundle", folder / "again")
        yield City(broker, folder, settings)


def stranger_of(folder: Path, settings: Path) -> None:
    """A certificate of the right authority that was never given any access."""
    key = folder / "stranger"
    request = folder / "stranger.csr"
    request.write_text(done("edge", "csr", "stranger", "--folder", key))
    bundle = folder / "stranger.bundle"
    words = ("gateway", "sign", settings, request, "--site", "pasar", "--bundle", bundle)
    done(*words, "--offline")
    done("edge", "enrol", bundle, "--folder", key)
    for kind in ("pem", "key"):
        (folder / "authority" / f"stranger.{kind}").symlink_to(key / f"gateway.{kind}")


async def link_of(city: City, name: str) -> Link:
    link = Link(30)
    async with asyncio.timeout(ANSWER_S):
        await link.open(
            "127.0.0.1",
            city.broker.port,
            city.context(name),
            mqtt.connect(f"{name}-test", 30, None, None, 2**20),
        )
    return link


async def may_send(link: Link, topic: str) -> bool:
    code = await link.published(lambda mid: mqtt.publish(mid, topic, b"", 1))
    return code < 0x80


async def may_hear(link: Link, filter_: str) -> bool:
    answer = await link.ask(lambda mid: mqtt.subscribe(mid, [filter_]))
    return answer[-1] < 0x80
