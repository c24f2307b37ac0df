"""The cloud's broker, for the uplink: the one file of the uplink that speaks MQTT.

In: where the broker is, what to publish. Out: what the broker answered to each message, what
arrives, and `ConnectionLost`. Every connection is a new one with a clean session that ends with
it, and nothing is sent a second time: that is the uplink's to decide.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from edge.certificate_words import in_words
from wire import mqtt
from wire.configuration import Broker, ConfigurationError
from wire.messages import MESSAGE_BYTES_MAX
from wire.mqtt_link import TOO_LARGE, Link, Lost
from wire.small_file import (
    LARGE_FILE_BYTES_MAX,
    SECRET_FILE_BYTES_MAX,
    Kept,
    read_secret,
    read_small,
)

__all__ = ("TOO_LARGE",)

DELIVERED = 0x00
SESSION_TAKEN_OVER = 0x8E
NOT_LET_IN = (0x86, 0x87, 0x8A)
"""Bad user name or password, not authorized, banned."""

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, OpenSSL's x509_vfy.h
_WITH_WILL = 0x04  # DISCONNECT: publish the will all the same
_PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + 4096
_QUEUED_MESSAGES = 256

ALIASING_BYTES_MAX = 8192
"""A message that gives its topic an alias must not be one that the broker finds too large to be
sent: the next would go without a topic."""

_PACKET_BYTES_MIN = 2 * ALIASING_BYTES_MAX


Keys = tuple[str | None, ssl.SSLContext | None]
"""A broker's password, and what it takes to speak TLS with it."""

_kept: dict[Broker, Kept[Keys]] = {}
"""What this process read last for each broker it connects to: with the certificate that its
configuration names, and with the renewed one."""


class ConnectionLost(Exception):
    """No connection, or no longer; `code` is the broker's reason when it gave one, `refused` when
    it doesn't let in what we show."""

    def __init__(self, reason: str, code: int | None = None, refused: bool = False) -> None:
        self.code, self.refused = code, refused
        super().__init__(reason)


class NotHeard(ConnectionLost):
    """The broker refused a subscription; the connection stands, for those who can do without."""


class Received(msgspec.Struct, frozen=True):
    """A message that arrived; `retained` when it was kept from before we subscribed."""

    topic: str
    payload: bytes
    retained: bool


class Outgoing(msgspec.Struct, frozen=True):
    """A message to publish, at QoS 1 unless it says 0."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1
    expiry_s: int | None = None
    content_type: str = ""
    correlation: bytes = b""
    user: tuple[tuple[str, str], ...] = ()


def ssl_context(broker: Broker, check_dates: bool = True) -> ssl.SSLContext | None:
    """TLS 1.2 or later with our certificate; the chain and the name are always checked.

    `check_dates` is False while this machine doesn't know the time.

    Raises:
        ConfigurationError: a file that can't be read or doesn't hold what it should, or a key that
            is open to others.
    """
    if broker.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    judge_dates(context, check_dates)
    tls = broker.tls
    remedy = "Give broker.tls.ca_file the PEM file of the authority that signed the broker"
    _read(tls.ca_file, remedy, LARGE_FILE_BYTES_MAX)
    try:
        context.load_verify_locations(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(tls.ca_file, "", _why(error), remedy) from error
    remedy = "Give broker.tls the PEM files of this gateway, readable for this user"
    _read(tls.certificate_file, remedy)
    _read(tls.key_file, remedy, key="broker.tls.key_file")
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_passphrase)
    except (OSError, ssl.SSLError) as error:
        named = f"broker.tls.key_file ({tls.key_file})"
        remedy = f"Check that {named} is its key, both PEM, the key without a passphrase"
        raise ConfigurationError(tls.certificate_file, "", _why(error), remedy) from error
    return context


def judge_dates(context: ssl.SSLContext, check_dates: bool) -> None:
    """Whether certificates' dates count."""
    if check_dates:
        context.verify_flags &= ~_NO_CHECK_TIME
    else:
        context.verify_flags |= _NO_CHECK_TIME


def keys_again(keys: Kept[Keys], check_dates: bool) -> Keys:
    """Password and TLS for one more connection, with dates judged as they are now.

    Raises:
        ConfigurationError: a file that can't be used (any more).
    """
    password, context = keys.now()
    if context is not None:
        judge_dates(context, check_dates)
    return password, context


def password(broker: Broker) -> str | None:
    """The password in `password_file`, its last line break left out; None without one.

    Raises:
        ConfigurationError: the file can't be read, isn't a plain one, is too large, or open to
            others.
    """
    if not broker.password_file:
        return None
    remedy = "Give broker.password_file a file with the password alone, readable for this user"
    text = _read(broker.password_file, remedy, key="broker.password_file")
    try:
        return text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigurationError(broker.password_file, "", "not UTF-8", remedy) from error


class Connection:
    """A connection to the broker. Whatever goes wrong with it is `ConnectionLost`."""

    def __init__(self, link: Link, timeout_s: float, aliases_max: int) -> None:
        self._link, self._timeout_s = link, timeout_s
        self._aliases: dict[str, int] = {}
        self._aliases_max = aliases_max

    async def send(self, message: Outgoing, done: Callable[[int], None]) -> None:
        """Hand a message to the broker at QoS 1; `done(reason code)` is called when it answered.

        Raises:
            ConnectionLost: not handed over. After a loss `done` isn't called.
        """
        try:
            await self._link.publish(partial(self._packet, message), done)
        except Lost as error:
            raise _lost(error) from error

    async def publish(self, message: Outgoing) -> int:
        """Publish a message and wait for the broker's answer, its reason code; at QoS 0 there is
        none, and it is as good as delivered.

        Raises:
            ConnectionLost: there won't be an answer.
        """
        try:
            if message.qos:
                return await self._link.published(partial(self._packet, message))
            await self._link.send(self._packet(message, None))
        except Lost as error:
            raise _lost(error) from error
        return DELIVERED

    async def subscribe(self, topics: Iterable[str], own: bool = True, kept: bool = True) -> None:
        """Subscribe at QoS 0: a confirmation that is lost makes a repeat, and acknowledging each
        would cost as much as it does. Without `own`, not to what this client publishes; without
        `kept`, not to what was retained before. (mosquitto 2.0 keeps the options of a first
        subscription to the same topic: end that one before.)

        Raises:
            NotHeard: the broker refused one of them.
            ConnectionLost: it went away.
        """
        names = [*topics]
        answer = await self._ask(lambda mid: mqtt.subscribe(mid, names, 0, own, kept))
        for name, code in zip(names, answer[-len(names) :], strict=False):
            if code >= 0x80:
                raise NotHeard(f"no subscription to {name}: 0x{code:02x}", code)

    async def unsubscribe(self, name: str) -> None:
        """End a subscription; what it brought comes before the answer to anything asked later.

        Raises:
            ConnectionLost: the broker went away.
        """
        await self._ask(lambda mid: mqtt.unsubscribe(mid, [name]))

    async def messages(self) -> AsyncIterator[Received]:
        """What arrives, until the connection is lost.

        Raises:
            ConnectionLost: always, at the end.
        """
        try:
            while True:
                for message in await self._link.messages():
                    self._link.acknowledge(message)
                    yield Received(message.topic, message.payload, message.retain)
        except Lost as error:
            raise _lost(error) from error

    def _packet(self, message: Outgoing, mid: int | None) -> bytes:
        """The message on its way out: made when it is written, since the first that is written
        has to bring the topic."""
        topic, alias = message.topic, self._aliases.get(message.topic, 0)
        if alias:
            topic = ""
        elif len(self._aliases) < self._aliases_max and len(message.payload) < ALIASING_BYTES_MAX:
            alias = self._aliases[topic] = len(self._aliases) + 1
        return mqtt.publish(
            mid,
            topic,
            message.payload,
            message.expiry_s or 0,
            message.retain,
            message.content_type,
            message.correlation,
            message.user,
            alias,
        )

    async def _ask(self, packet: Callable[[int], bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._link.ask(packet)
        except Lost as error:
            raise _lost(error) from error
        except TimeoutError as error:
            raise ConnectionLost("the broker doesn't answer") from error


@asynccontextmanager
async def connect(
    broker: Broker, client_id: str, will: Outgoing | None, check_dates: bool, timeout_s: float
) -> AsyncIterator[Connection]:
    """One connection. Leaving the block by an exception makes the broker publish the will.

    Raises:
        ConnectionLost: it can't be had.
        ConfigurationError: a file it needs can't be read (any more).
    """
    if broker not in _kept:
        _kept[broker] = Kept(lambda: (password(broker), ssl_context(broker)))
    secret, context = keys_again(_kept[broker], check_dates)
    hello = mqtt.connect(
        client_id,
        broker.keepalive_s,
        broker.username or None,
        secret,
        _PACKET_BYTES_MAX,
        will=mqtt.Will(will.topic, will.payload, will.retain) if will else None,
    )
    link = Link(broker.keepalive_s, _QUEUED_MESSAGES, is_paid=True)
    try:
        connack = await _open(link, broker, context, hello, timeout_s)
    except (Lost, OSError) as error:
        raise _lost(error) from error
    reason = _WITH_WILL
    try:
        aliases_max = connack.topic_aliases if connack.packet_bytes_max > _PACKET_BYTES_MIN else 0
        yield Connection(link, timeout_s, aliases_max)
        reason = 0
    finally:
        await link.close(reason)


async def _open(
    link: Link, broker: Broker, context: ssl.SSLContext | None, hello: bytes, timeout_s: float
) -> mqtt.Connack:
    """Open the link, or leave nothing behind.

    Raises:
        Lost, OSError: it can't be had, or not in time.
    """
    opened = False
    try:
        async with asyncio.timeout(timeout_s):
            connack = await link.open(broker.host, broker.port, context, hello)
        opened = True
        return connack
    finally:
        if not opened:
            link.abort()


def _lost(error: Lost | OSError) -> ConnectionLost:
    why, refused = in_words(error)
    code = error.code if isinstance(error, Lost) else None
    # A TimeoutError, which is an OSError, says nothing.
    return ConnectionLost(why or "no answer in time", code, refused or code in NOT_LET_IN)


def _read(file: str, remedy: str, bytes_max: int = SECRET_FILE_BYTES_MAX, key: str = "") -> bytes:
    """With a `key`, a secret."""
    try:
        return read_secret(file, key, bytes_max) if key else read_small(file, bytes_max)
    except OSError as error:
        raise ConfigurationError(file, "", _why(error), remedy) from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _no_passphrase() -> str:
    """Instead of asking at the terminal, which a service doesn't have."""
    return ""


def most_telling(group: ExceptionGroup[ConnectionLost]) -> ConnectionLost:
    """The loss that bears the broker's reason, or the first."""
    losses: list[ConnectionLost] = []
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            losses.append(most_telling(error))
        else:
            losses.append(error)
    return next((loss for loss in losses if loss.code is not None), losses[0])
