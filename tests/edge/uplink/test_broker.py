"""The uplink's broker file on a real mosquitto: reason codes, losses, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl

import pytest

from edge.broker import (
    TOO_LARGE,
    Connection,
    ConnectionLost,
    Outgoing,
    connect,
    password,
    ssl_context,
)
from tests.edge.uplink.far_side import WAIT_S, retained, until
from tests.line.certificates import EXPIRED, Authority, Signed
from tests.secret_file import write_secret
from tests.servers import Mosquitto
from wire.configuration import Broker, ConfigurationError, Tls

SMALL = "max_packet_size 2000"


def opened(
    broker: Mosquitto, name: str = "gateway", tls: Tls | None = None, check_dates: bool = True
) -> contextlib.AbstractAsyncContextManager[Connection]:
    settings = Broker(host=broker.host, port=broker.port, tls=tls)
    will = Outgoing(f"gone/{name}", b"gone", retain=True)
    return connect(settings, name, will, check_dates, WAIT_S)


def test_the_reason_codes_of_pubacks_are_told(mosquitto):
    async def scenario() -> None:
        async with opened(mosquitto) as ours, opened(mosquitto, "other") as other:
            assert await ours.publish(Outgoing("codes/a", b"x")) == 0x10
            assert await ours.publish(Outgoing("codes/a", b"")) == 0x10
            await other.subscribe(["$share/group/codes/+"])
            assert await ours.publish(Outgoing("codes/a", b"x")) == 0
            assert await ours.publish(Outgoing("codes/a", b"")) == 0
            codes: list[int] = []
            for name in ("codes/a", "nobody/b", "codes/c", "nobody/d"):
                await ours.send(Outgoing(name, b"x"), codes.append)
            await until(lambda: len(codes) == 4)
            assert codes == [0, 0x10, 0, 0x10]

    asyncio.run(scenario())


def test_a_refusal_is_told_with_its_code(tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic read #\n")
    rules.chmod(0o700)

    async def scenario(broker: Mosquitto) -> None:
        async with opened(broker) as ours:
            assert await ours.publish(Outgoing("a", b"x")) == 0x87
            codes: list[int] = []
            await ours.send(Outgoing("a", b"x"), codes.append)
            await until(lambda: codes == [0x87])

    with Mosquitto(tmp_path / "broker", config=f"acl_file {rules}") as broker:
        asyncio.run(scenario(broker))


def test_a_message_larger_than_the_broker_takes_is_told_as_too_large(tmp_path):
    async def scenario(broker: Mosquitto) -> None:
        async with opened(broker) as ours:
            codes: list[int] = []
            await ours.send(Outgoing("a", b"x" * 3000), codes.append)
            assert codes == [TOO_LARGE]
            assert await ours.publish(Outgoing("a", b"x")) == 0x10

    with Mosquitto(tmp_path, config=SMALL) as broker:
        asyncio.run(scenario(broker))


def test_messages_arrive_under_their_topics_however_many_aliases_the_broker_allows(tmp_path):
    """A topic is said once on a connection and has an alias from then on, as long as there are
    any; a broker that would find the first message too large gets none."""

    async def scenario(broker: Mosquitto) -> None:
        async with opened(broker) as ours, opened(broker, "other") as other:
            await other.subscribe(["from/+"])
            topics = [f"from/{number % 12}" for number in range(36)]
            for nth, topic in enumerate(topics):
                await ours.publish(Outgoing(topic, str(nth).encode(), qos=nth % 2))
            arrived = other.messages()
            heard = [await anext(arrived) for _ in topics]
            assert sorted((m.topic, m.payload) for m in heard) == sorted(
                (topic, str(nth).encode()) for nth, topic in enumerate(topics)
            )

    for name, config in (("usual", ""), ("none", "max_topic_alias 0"), ("small", SMALL)):
        with Mosquitto(tmp_path / name, config=config) as broker:
            asyncio.run(scenario(broker))


def test_what_arrives_is_given_with_whether_it_was_retained(mosquitto):
    async def scenario() -> None:
        async with opened(mosquitto) as ours, opened(mosquitto, "other") as other:
            await other.publish(Outgoing("kept/a", b"old", retain=True))
            await ours.subscribe(["kept/a"])
            await other.publish(Outgoing("kept/a", b"new"))
            arrived = ours.messages()
            both = [await anext(arrived), await anext(arrived)]
            assert [(m.payload, m.retained) for m in both] == [(b"old", True), (b"new", False)]
            await ours.unsubscribe("kept/a")
            await ours.subscribe(["kept/a"], own=False, kept=False)
            await ours.publish(Outgoing("kept/a", b"own"))
            await other.publish(Outgoing("kept/a", b"last"))
            assert (await anext(arrived)).payload == b"last"

    asyncio.run(scenario())


def test_a_killed_broker_ends_the_connection_for_everyone_who_waits(tmp_path):
    async def scenario(broker: Mosquitto) -> None:
        async with opened(broker) as ours:
            codes: list[int] = []
            os.kill(broker.pid, signal.SIGSTOP)
            await ours.send(Outgoing("a", b"x"), codes.append)
            broker.kill()
            with pytest.raises(ConnectionLost):
                async for _ in ours.messages():
                    pass
            with pytest.raises(ConnectionLost):
                await ours.publish(Outgoing("a", b"x"))
            assert codes == []
        with pytest.raises(ConnectionLost):
            async with opened(broker):
                pass

    with Mosquitto(tmp_path) as broker:
        asyncio.run(scenario(broker))


def test_a_second_client_of_our_name_ends_our_connection(mosquitto):
    async def scenario() -> None:
        async with opened(mosquitto, "twin") as first, opened(mosquitto, "twin"):
            with pytest.raises(ConnectionLost):
                async for _ in first.messages():
                    pass

    asyncio.run(scenario())


def test_leaving_by_an_exception_publishes_the_will_and_leaving_well_does_not(mosquitto):
    async def well() -> None:
        async with opened(mosquitto, "polite") as ours:
            await ours.publish(Outgoing("a", b""))

    async def badly() -> None:
        with contextlib.suppress(LookupError):
            async with opened(mosquitto, "broken"):
                raise LookupError

    asyncio.run(well())
    asyncio.run(badly())
    assert retained(mosquitto, "gone/polite") == b""
    assert retained(mosquitto, "gone/broken") == b"gone"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> dict[str, Signed]:
    """A broker's certificate for 127.0.0.1, one that expired, one for elsewhere, a gateway's."""
    authority = Authority(tmp_path_factory.mktemp("certificates") / "ca", ["127.0.0.1"])
    return {
        "server": authority.sign("server"),
        "expired": authority.sign("expired", EXPIRED),
        "elsewhere": authority.sign("elsewhere", names=["elsewhere"]),
        "gateway": authority.sign("gateway"),
    }


def tls_of(signed: Signed) -> Tls:
    return Tls(**{name: str(file) for name, file in signed._asdict().items()})


@pytest.mark.parametrize(
    ("server", "check_dates", "good"),
    [
        ("server", True, True),
        ("server", False, True),
        ("expired", True, False),
        ("expired", False, True),  # the time isn't trusted: chain and name are all there is
        ("elsewhere", True, False),
        ("elsewhere", False, False),
    ],
)
def test_tls_checks_chain_and_name_always_and_dates_once_the_time_is_known(
    tmp_path, certificates, server, check_dates, good
):
    async def scenario(broker: Mosquitto) -> None:
        tls = tls_of(certificates["gateway"])
        async with opened(broker, tls=tls, check_dates=check_dates) as ours:
            assert await ours.publish(Outgoing("a", b"")) == 0x10

    with Mosquitto(tmp_path, config=certificates[server].mosquitto) as broker:
        if good:
            asyncio.run(scenario(broker))
        else:
            with pytest.raises(ConnectionLost, match="certificate"):
                asyncio.run(scenario(broker))


def test_the_context_takes_tls_1_2_and_later(certificates):
    context = ssl_context(Broker(tls=tls_of(certificates["gateway"])))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert ssl_context(Broker()) is None


def test_files_that_cannot_be_used_are_named_with_a_remedy(tmp_path, certificates):
    missing = str(tmp_path / "missing.pem")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    ca, certificate, key = map(str, certificates["gateway"])
    other = str(certificates["server"].key_file)
    for tls, named in (
        (Tls(ca_file=missing, certificate_file=certificate, key_file=key), missing),
        (Tls(ca_file=str(garbage), certificate_file=certificate, key_file=key), str(garbage)),
        (Tls(ca_file=ca, certificate_file=missing, key_file=key), missing),
        (Tls(ca_file=ca, certificate_file=certificate, key_file=missing), missing),
        (Tls(ca_file=ca, certificate_file=certificate, key_file=other), certificate),
    ):
        with pytest.raises(ConfigurationError) as error:
            ssl_context(Broker(tls=tls))
        assert error.value.source == named
        assert error.value.remedy


def test_the_password_is_the_file_without_its_line_break(tmp_path):
    file = tmp_path / "password"
    write_secret(file, " secret \n")
    assert password(Broker(password_file=str(file))) == " secret "
    assert password(Broker()) is None
    with pytest.raises(ConfigurationError, match="missing"):
        password(Broker(password_file=str(tmp_path / "missing")))


def test_a_password_that_others_may_read_is_not_used_and_the_one_from_before_goes_on(
    mosquitto, tmp_path, caplog
):
    file = tmp_path / "password"
    write_secret(file, "secret")
    settings = Broker(port=mosquitto.port, username="gw", password_file=str(file))

    async def scenario() -> None:
        async with connect(settings, "gw", None, True, WAIT_S):
            pass
        file.chmod(0o644)
        async with connect(settings, "gw", None, True, WAIT_S) as connection:
            assert await connection.publish(Outgoing("nobody/a", b"x")) == 0x10
        assert f"chmod 640 {file}" in caplog.text
        # A process that begins now has nothing from before.
        fresh = Broker(port=mosquitto.port, username="other", password_file=str(file))
        with pytest.raises(ConfigurationError, match="chmod 640"):
            async with connect(fresh, "gw", None, True, WAIT_S):
                pass

    asyncio.run(scenario())


def test_a_key_that_others_may_read_is_refused(certificates):
    signed = certificates["gateway"]
    tls = Tls(*map(str, signed))
    assert ssl_context(Broker(tls=tls))
    signed.key_file.chmod(0o644)
    try:
        with pytest.raises(ConfigurationError, match="chmod 640") as error:
            ssl_context(Broker(tls=tls))
        assert (error.value.source, error.value.key) == (tls.key_file, "broker.tls.key_file")
    finally:
        signed.key_file.chmod(0o600)


def test_a_broker_file_that_is_a_pipe_or_without_end_is_refused_and_never_waited_for(
    tmp_path, certificates
):
    pipe, zero = str(tmp_path / "pipe"), "/dev/zero"
    os.mkfifo(pipe)
    ca, certificate, key = map(str, certificates["gateway"])
    large = tmp_path / "large"
    large.write_bytes(b"x" * (64 * 1024 + 1))
    for file, said in ((pipe, "not a plain"), (zero, "not a plain"), (str(large), "larger than")):
        with pytest.raises(ConfigurationError, match=rf"{said}.*broker\.password_file"):
            password(Broker(password_file=file))
        for tls in (Tls(ca, file, key), Tls(ca, certificate, file)):
            with pytest.raises(ConfigurationError, match=rf"{said}.*broker\.tls") as error:
                ssl_context(Broker(tls=tls))
            assert error.value.source == file
    for file in (pipe, zero):
        with pytest.raises(ConfigurationError, match=r"not a plain.*broker\.tls\.ca_file"):
            ssl_context(Broker(tls=Tls(file, certificate, key)))
