"""Who may do what at the city's broker: every role tries everything, on a real mosquitto over TLS,
set up by the commands that an operator gives."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers import Mosquitto, free_port
from wire import mqtt
from wire.mqtt_link import Link, Lost

PLUGINS = sorted(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
NOT_AUTHORIZED = 0x87
ADMINISTRATIVE_ACTION = 0x98
ANSWER_S = 10.0
A, B = "mahirah-01", "ulee-lheue-02"

TOPICS = (
    f"gampong/v1/{A}/batch",
    f"gampong/v1/{A}/backfill",
    f"gampong/v1/{A}/status",
    f"gampong/v1/{A}/inventory",
    f"gampong/v1/{A}/config/applied",
    f"gampong/v1/{A}/confirm",
    f"gampong/v1/{A}/config",
    f"gampong/v1/{B}/batch",
    f"gampong/v1/{B}/status",
    f"gampong/v1/{B}/inventory",
    f"gampong/v1/{B}/confirm",
    f"gampong/v1/{B}/config",
    "gampong/v1/registry",
    "gampong/v1/time",
    "$CONTROL/dynamic-security/v1",
    "elsewhere",
)
OF_A = (f"gampong/v1/{A}",)
EACH = (f"gampong/v1/{A}", f"gampong/v1/{B}")


def under(gateways: tuple[str, ...], *leaves: str) -> set[str]:
    return {f"{gateway}/{leaf}" for gateway in gateways for leaf in leaves} & set(TOPICS)


MAY_SEND = {
    A: under(OF_A, "batch", "backfill", "status", "inventory", "config/applied"),
    "ingestor": under(EACH, "confirm"),
    "watch": under(EACH, "config") | {"gampong/v1/registry", "gampong/v1/time"},
    "viewer": set(),
    "admin": {"$CONTROL/dynamic-security/v1"},
    "stranger": set(),
}
MAY_HEAR = {
    A: under(OF_A, "confirm", "config", "status") | {"gampong/v1/time"},
    "ingestor": under(EACH, "batch", "backfill") | {"gampong/v1/registry"},
    "watch": under(EACH, "status", "inventory", "config/applied"),
    "viewer": under(EACH, "status", "inventory"),
    "admin": set(),
    "stranger": set(),
}
WIDE = ("#", "gampong/#", "gampong/v1/+/confirm", "$share/x/gampong/v1/+/batch")
MAY_HEAR_WIDE = {"ingestor": {"$share/x/gampong/v1/+/batch"}}


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


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("trust")
    assert PLUGINS, "mosquitto's dynamic security plugin: apt-get install mosquitto"
    port = free_port()
    (folder / "passphrase").write_text("correct horse battery\n")
    (folder / "passphrase").chmod(0o600)
    settings = folder / "authority.toml"
    settings.write_text(
        f'[authority]\ncity = "banda-aceh"\nfolder = "{folder}/authority"\n'
        f'passphrase_file = "{folder}/passphrase"\n'
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


@pytest.mark.parametrize("name", MAY_SEND)
def test_each_role_sends_and_hears_what_is_its_own_and_is_refused_the_rest(
    city: City, name: str
) -> None:
    async def main() -> None:
        link = await link_of(city, name)
        sends = {topic for topic in TOPICS if await may_send(link, topic)}
        hears = {topic for topic in TOPICS if await may_hear(link, topic)}
        wide = {filter_ for filter_ in WIDE if await may_hear(link, filter_)}
        await link.close()
        assert sends == MAY_SEND[name]
        assert hears == MAY_HEAR[name]
        assert wide == MAY_HEAR_WIDE.get(name, set())

    asyncio.run(main())


def test_what_a_role_may_hear_reaches_it_and_nobody_else(city: City) -> None:
    async def main() -> None:
        sender, ingestor = await link_of(city, A), await link_of(city, "ingestor")
        assert await may_hear(ingestor, "$share/x/gampong/v1/+/batch")
        topic = f"gampong/v1/{A}/batch"
        assert await sender.published(lambda mid: mqtt.publish(mid, topic, b"mine")) == 0
        (message,) = await ingestor.messages()
        assert (message.topic, message.payload) == (topic, b"mine")
        await sender.close()
        await ingestor.close()

    asyncio.run(main())


def test_nobody_comes_in_without_a_certificate(city: City) -> None:
    async def main() -> None:
        context = ssl.create_default_context(cafile=city.folder / "authority" / "ca.pem")
        link = Link(30)
        hello = mqtt.connect("nobody", 30, "admin", "admin", 2**20)
        with pytest.raises((Lost, OSError)):
            await link.open("127.0.0.1", city.broker.port, context, hello)
        plain = Link(30)
        with pytest.raises((Lost, OSError, TimeoutError)):
            async with asyncio.timeout(ANSWER_S):
                await plain.open("127.0.0.1", city.broker.port, None, hello)

    asyncio.run(main())


def test_a_revoked_gateway_is_cut_off_and_never_comes_in_again_while_others_go_on(
    city: City,
) -> None:
    async def main() -> None:
        revoked, other = await link_of(city, B), await link_of(city, A)
        said = await asyncio.to_thread(gampong, "gateway", "revoke", city.settings, B)
        assert said.returncode == 0, said.stderr
        with pytest.raises(Lost) as lost:
            await revoked.messages()
        assert lost.value.code == ADMINISTRATIVE_ACTION
        again = await link_of(city, B)  # its certificate is still good for TLS, and for nothing
        assert not await may_send(again, f"gampong/v1/{B}/batch")
        os.kill(city.broker.pid, signal.SIGHUP)  # the broker reads crl.pem again
        async with asyncio.timeout(ANSWER_S):
            while True:
                try:
                    await (await link_of(city, B)).close()
                except (Lost, OSError):
                    break
        assert await may_send(other, f"gampong/v1/{A}/batch")
        await other.close()

    asyncio.run(main())
    listed = done("gateway", "list", city.settings)
    assert [line for line in listed.splitlines() if line.startswith(B)] != []
    assert all("revoked" in line for line in listed.splitlines() if line.startswith(B))


def test_a_broker_that_is_away_is_named_and_the_command_may_be_given_again(
    city: City, tmp_path: Path
) -> None:
    away = tmp_path / "authority.toml"
    away.write_text(city.settings.read_text().replace(str(city.broker.port), str(free_port())))
    words = ("gateway", "add", away, "late-03", "--site", "pasar", "--bundle", tmp_path / "b")
    run = gampong(*words)
    assert run.returncode == 1
    assert "Is the broker up" in run.stderr
    assert "give this command again" in run.stderr


def test_only_the_admin_may_change_who_may_do_what(city: City, tmp_path: Path) -> None:
    async def main() -> None:
        link = await link_of(city, "ingestor")
        topic = "$CONTROL/dynamic-security/v1"
        assert await link.published(lambda mid: mqtt.publish(mid, topic, b"{}")) == NOT_AUTHORIZED
        await link.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://example.org/menu", "No such file"),
        ("gampong-gateway-1:AAAA", "damaged"),
    ],
)
def test_a_bundle_that_is_none_changes_nothing(tmp_path: Path, text: str, why: str) -> None:
    run = gampong("edge", "enrol", text, "--folder", tmp_path / "gampong")
    assert run.returncode == 2
    assert why in run.stderr
    assert not (tmp_path / "gampong").exists()


def test_a_gateway_is_not_turned_into_another_one_by_mistake(city: City, tmp_path: Path) -> None:
    before = (city.folder / A / "gateway.pem").read_bytes()
    run = gampong("edge", "enrol", city.folder / f"{B}.bundle", "--folder", city.folder / A)
    assert run.returncode == 2
    assert f"this is gateway '{A}'" in run.stderr
    assert (city.folder / A / "gateway.pem").read_bytes() == before


def test_the_key_is_for_its_owner_alone_and_the_configuration_runs_as_it_is(city: City) -> None:
    assert (city.folder / A / "gateway.key").stat().st_mode & 0o077 == 0
    assert f"gateway {A}, site pasar" in done("edge", "check", city.folder / A / "gateway.toml")
