"""Who may do what at the city's broker: every role tries everything, on a real mosquitto over TLS,
set up by the commands that an operator gives."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from gampong.authority_files import load, tell
from ingest.trust.access import CONNECTIONS_MAX, IN_FLIGHT_MAX, PACKET_BYTES_MAX
from tests.line.trusted import (
    ANSWER_S,
    A,
    B,
    City,
    done,
    gampong,
    link_of,
    may_hear,
    may_send,
    trusted_city,
)
from tests.servers import Mosquitto, free_port
from wire import mqtt
from wire.mqtt import Will
from wire.mqtt_link import Link, Lost

NOT_AUTHORIZED = 0x87
CUT_OFF_S = 60.0
ADMINISTRATIVE_ACTION = 0x98
PUBLISH_THE_WILL = 0x04

TOPICS = (
    f"gampong/v1/{A}/batch",
    f"gampong/v1/{A}/backfill",
    f"gampong/v1/{A}/status",
    f"gampong/v1/{A}/inventory",
    f"gampong/v1/{A}/config/applied",
    f"gampong/v1/{A}/confirm",
    f"gampong/v1/{A}/config",
    f"gampong/v1/{A}/command",
    f"gampong/v1/{A}/command/result",
    f"gampong/v1/{A}/certificate",
    f"gampong/v1/{A}/certificate/request",
    f"gampong/v1/{B}/batch",
    f"gampong/v1/{B}/backfill",
    f"gampong/v1/{B}/status",
    f"gampong/v1/{B}/inventory",
    f"gampong/v1/{B}/confirm",
    f"gampong/v1/{B}/config",
    f"gampong/v1/{B}/config/applied",
    f"gampong/v1/{B}/command",
    f"gampong/v1/{B}/command/result",
    f"gampong/v1/{B}/certificate",
    f"gampong/v1/{B}/certificate/request",
    "gampong/v1/registry",
    "gampong/v1/time",
    "$CONTROL/dynamic-security/v1",
    "elsewhere",
)
OF_A = (f"gampong/v1/{A}",)
EACH = (f"gampong/v1/{A}", f"gampong/v1/{B}")


def under(gateways: tuple[str, ...], *leaves: str) -> set[str]:
    return {f"{gateway}/{leaf}" for gateway in gateways for leaf in leaves} & set(TOPICS)


GATEWAY_SENDS = (
    "batch",
    "backfill",
    "status",
    "inventory",
    "config/applied",
    "command/result",
    "certificate/request",
)
MAY_SEND = {
    A: under(OF_A, *GATEWAY_SENDS),
    "ingestor": under(EACH, "confirm"),
    "watch": under(EACH, "config", "command") | {"gampong/v1/registry", "gampong/v1/time"},
    "viewer": set(),
    "signer": under(EACH, "certificate"),
    "admin": {"$CONTROL/dynamic-security/v1"},
    "stranger": set(),
}
MAY_HEAR = {
    A: under(OF_A, "confirm", "config", "command", "status", "certificate") | {"gampong/v1/time"},
    "ingestor": under(EACH, "batch", "backfill") | {"gampong/v1/registry"},
    "watch": under(EACH, "status", "inventory", "config/applied", "command/result"),
    "viewer": under(EACH, "status", "inventory"),
    "signer": under(EACH, "certificate/request"),
    "admin": set(),
    "stranger": set(),
}
WIDE = (
    "#",
    "gampong/#",
    "+/+/+/config",
    "$SYS/#",
    "gampong/v1/+/confirm",
    "gampong/v1/+/command",
    "gampong/v1/+/certificate",
    "gampong/v1/+/certificate/request",
    "$share/x/gampong/v1/+/batch",
    f"$share/x/gampong/v1/{B}/config",
)
MAY_HEAR_WIDE = {
    "ingestor": {"$share/x/gampong/v1/+/batch"},
    "signer": {"gampong/v1/+/certificate/request"},
}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with trusted_city(tmp_path_factory.mktemp("trust")) as city:
        yield city


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


def test_the_broker_says_its_limits_and_takes_no_message_above_them(city: City) -> None:
    async def main() -> None:
        link = Link(30)
        hello = mqtt.connect("limits", 30, None, None, 2**20)
        connack = await link.open("127.0.0.1", city.broker.port, city.context(A), hello)
        assert connack.packet_bytes_max == PACKET_BYTES_MAX
        assert connack.receive_maximum <= IN_FLIGHT_MAX
        large = b"x" * PACKET_BYTES_MAX
        topic = f"gampong/v1/{A}/batch"
        await link.send(mqtt.publish(None, topic, large))  # as one who doesn't keep to it
        with pytest.raises(Lost):
            await link.messages()

    asyncio.run(main())


def test_who_comes_above_the_brokers_connections_is_turned_away(city: City, tmp_path: Path) -> None:
    port, told = free_port(), f"max_connections {CONNECTIONS_MAX}"
    conf = (city.folder / "served" / "mosquitto.conf").read_text()
    assert conf.count(told) == 1
    few = conf.replace(told, "max_connections 2").replace(str(city.broker.port), str(port))

    async def main() -> int:
        """How many are let in before one isn't."""
        async with AsyncExitStack() as links:
            for nth in range(20):
                link = Link(30)
                hello = mqtt.connect(f"one-{nth}", 30, None, None, 2**20)
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await link.open("127.0.0.1", port, city.context(A), hello)
                except (Lost, OSError, TimeoutError):
                    return nth
                links.push_async_callback(link.close)
        return 20

    with Mosquitto(tmp_path / "broker", port, few):
        # mosquitto 2.0.11 counts a connection that breaks off in its handshake as two that ended,
        # and looking whether it is up breaks off some.
        assert 2 <= asyncio.run(main()) < 10


def test_a_client_that_only_knows_old_tls_is_turned_away(city: City) -> None:
    async def main() -> None:
        context = city.context(A)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await Link(30).open("127.0.0.1", city.broker.port, context, b"")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.run(main())


def test_a_revoked_gateway_is_cut_off_and_never_comes_in_again_while_others_go_on(
    city: City,
) -> None:
    async def main() -> None:
        revoked, other = await link_of(city, B), await link_of(city, A)
        said = await asyncio.to_thread(gampong, "gateway", "revoke", city.settings, B)
        assert said.returncode == 0, said.stderr
        with pytest.raises(Lost) as lost:
            async with asyncio.timeout(CUT_OFF_S):
                await revoked.messages()
        assert lost.value.code == ADMINISTRATIVE_ACTION
        again = await link_of(city, B)  # its certificate is still good for TLS, and for nothing
        assert not await may_send(again, f"gampong/v1/{B}/batch")
        city.broker.reload()  # the broker reads crl.pem again
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


def test_a_gateway_that_connects_by_the_name_of_another_connection_cuts_nobody_off(
    city: City,
) -> None:
    """Who comes by a name that is in use takes that connection over: ours have to be guessed."""
    names = ("gampong-admin-control", "gampong-list", "gampong-signer", A)

    async def main() -> None:
        taken = []
        for name in names:
            link = Link(30)
            hello = mqtt.connect(name, 30, None, None, 2**20)
            await link.open("127.0.0.1", city.broker.port, city.context(A), hello)
            taken.append(link)
        listed = await asyncio.to_thread(gampong, "gateway", "list", city.settings)
        assert listed.returncode == 0, listed.stderr
        door = await asyncio.to_thread(gampong, "gateway", "authority", city.settings)
        assert door.returncode == 0, door.stderr
        for link in taken:  # nor were these taken over: the commands came by other names
            assert await may_send(link, f"gampong/v1/{A}/batch")
            await link.close()

    asyncio.run(main())


def test_a_last_will_in_anothers_name_is_never_published(city: City) -> None:
    async def main() -> None:
        watch = await link_of(city, "watch")
        assert await may_hear(watch, "gampong/v1/+/status")
        for gateway, payload in ((B, b"forged"), (A, b"own")):
            link, will = Link(30), Will(f"gampong/v1/{gateway}/status", payload, False)
            hello = mqtt.connect(f"{A}-will", 30, None, None, 2**20, will=will)
            with suppress(Lost, OSError):
                await link.open("127.0.0.1", city.broker.port, city.context(A), hello)
                await link.send(mqtt.disconnect(PUBLISH_THE_WILL))
            await link.close()
        async with asyncio.timeout(ANSWER_S):
            heard = [message.payload for message in await watch.messages()]
        assert heard == [b"own"]
        await watch.close()

    asyncio.run(main())


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


def test_a_list_is_shown_without_the_broker_too_and_says_what_it_does_not_know(
    city: City, tmp_path: Path
) -> None:
    away = tmp_path / "authority.toml"
    away.write_text(city.settings.read_text().replace(str(city.broker.port), str(free_port())))
    run = gampong("gateway", "list", away)
    assert run.returncode == 0
    assert "doesn't tell who is there" in run.stderr
    assert f"{A} (gateway, pasar): 1 days old, 399 days left" in run.stdout


def test_an_upgrade_gives_everybody_the_rights_of_this_version(city: City) -> None:
    async def main() -> None:
        role = {"rolename": f"gateway-{A}", "acltype": "publishClientSend"}
        batch = f"gampong/v1/{A}/batch"
        removal = [{"command": "removeRoleACL", **role, "topic": batch}]
        assert await asyncio.to_thread(tell, load(city.settings), removal) == 0
        before = await link_of(city, A)
        assert not await may_send(before, batch)
        await asyncio.to_thread(done, "gateway", "access", city.settings)
        after = await link_of(city, A)
        assert await may_send(after, batch)
        await after.close()

    asyncio.run(main())


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
