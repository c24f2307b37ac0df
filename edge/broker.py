"""The cloud's broker, for the uplink: the one file of this side that knows the MQTT client.

In: where the broker is, what to publish. Out: what the broker answered to each message, what
arrives, and `ConnectionLost`. Every connection is a new client with a clean session that ends with
it, so the library never sends anything a second time: that is the uplink's to decide.

mqttium tells success from failure but keeps the PUBACK's reason code to itself, and 0x10 ("no
matching subscribers") is a success to it. `_tap` reads the code where it is decoded, which is why
the version is pinned; tests/edge/uplink/test_broker.py turns red if it stops working.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from mqttium.api import AsyncClient, Properties, PublishMessage, PublishReceipt, SubscribeOptions
from mqttium.enums import MQTTProtocolVersion, QoS
from mqttium.errors import MQTTError, PacketTooLargeError, PublishRejectedError

from wire.configuration import Broker, ConfigurationError
from wire.messages import MESSAGE_BYTES_MAX

DELIVERED = 0x00
TOO_LARGE = 0x95
SESSION_TAKEN_OVER = 0x8E

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, OpenSSL's x509_vfy.h
_WITH_WILL = 0x04  # DISCONNECT: publish the will all the same
_PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + 4096
_QUEUED_MESSAGES = 256


class ConnectionLost(Exception):
    """No connection, or no longer; `code` is the broker's reason when it gave one."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(reason)


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
        ConfigurationError: a file that can't be read or doesn't hold what it should.
    """
    if broker.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not check_dates:
        context.verify_flags |= _NO_CHECK_TIME
    tls = broker.tls
    try:
        context.load_verify_locations(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        remedy = "Give broker.tls.ca_file the PEM file of the authority that signed the broker"
        raise ConfigurationError(tls.ca_file, "", _why(error), remedy) from error
    for file in (tls.certificate_file, tls.key_file):
        _read(file, "Give broker.tls the PEM files of this gateway, readable for this user")
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_passphrase)
    except (OSError, ssl.SSLError) as error:
        named = f"broker.tls.key_file ({tls.key_file})"
        remedy = f"Check that {named} is its key, both PEM, the key without a passphrase"
        raise ConfigurationError(tls.certificate_file, "", _why(error), remedy) from error
    return context


def password(broker: Broker) -> str | None:
    """The password in `password_file`, its last line break left out; None without one.

    Raises:
        ConfigurationError: the file can't be read.
    """
    if not broker.password_file:
        return None
    remedy = "Give broker.password_file a file with the password alone, readable for this user"
    text = _read(broker.password_file, remedy)
    try:
        return text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigurationError(broker.password_file, "", "not UTF-8", remedy) from error


class Connection:
    """A connection to the broker. Whatever goes wrong with it is `ConnectionLost`."""

    def __init__(self, client: AsyncClient, codes: dict[int, int]) -> None:
        self._client, self._codes = client, codes

    async def send(self, message: Outgoing, done: Callable[[int], None]) -> None:
        """Hand a message to the broker; `done(reason code)` is called when it answered.

        Raises:
            ConnectionLost: not handed over. After a loss `done` isn't called.
        """
        try:
            receipt = await self._publish(message)
        except PacketTooLargeError:
            done(TOO_LARGE)  # the broker said how much it takes when we connected
        except (MQTTError, OSError) as error:
            raise _lost(error) from error
        else:
            receipt.add_done_callback(partial(self._answered, done))

    async def publish(self, message: Outgoing) -> int:
        """Publish a message and wait for the broker's answer, its reason code.

        Raises:
            ConnectionLost: there won't be an answer.
        """
        try:
            receipt = await self._publish(message)
            await receipt.wait()
        except PacketTooLargeError:
            return TOO_LARGE
        except PublishRejectedError as error:
            return error.reason_code
        except (MQTTError, OSError) as error:
            raise _lost(error) from error
        return self._codes.pop(receipt.mid or 0, DELIVERED)

    async def subscribe(self, topics: Iterable[str], own: bool = True, kept: bool = True) -> None:
        """Subscribe at QoS 0: a confirmation that is lost makes a repeat, and acknowledging each
        would cost as much as it does. Without `own`, not to what this client publishes; without
        `kept`, not to what was retained before. (mosquitto 2.0 keeps the options of a first
        subscription to the same topic: end that one before.)

        Raises:
            ConnectionLost: the broker refused, or went away.
        """
        options = SubscribeOptions(
            qos=QoS.AT_MOST_ONCE, no_local=not own, retain_handling=0 if kept else 2
        )
        try:
            await self._client.subscribe([(topic, options) for topic in topics])
        except (MQTTError, OSError) as error:
            raise _lost(error) from error

    async def unsubscribe(self, name: str) -> None:
        """End a subscription; what it brought has been handed over when this returns.

        Raises:
            ConnectionLost: the broker went away.
        """
        try:
            await self._client.unsubscribe(name)
        except (MQTTError, OSError) as error:
            raise _lost(error) from error

    async def messages(self) -> AsyncIterator[Received]:
        """What arrives, until the connection is lost.

        Raises:
            ConnectionLost: always, at the end.
        """
        async for message in self._client.messages():
            yield Received(message.topic, message.payload, message.retain)
        stats = self._client.stats()
        reason = stats.last_disconnect_error or "connection closed"
        raise ConnectionLost(reason, stats.last_disconnect_reason_code)

    async def _publish(self, message: Outgoing) -> PublishReceipt:
        return await self._client.publish(
            message.topic,
            message.payload,
            qos=message.qos,
            retain=message.retain,
            properties=_properties(message),
        )

    def _answered(self, done: Callable[[int], None], receipt: PublishReceipt) -> None:
        error = receipt.exception()
        code = self._codes.pop(receipt.mid or 0, DELIVERED)
        if error is None:
            done(code)
        elif isinstance(error, PublishRejectedError):
            done(error.reason_code)


@asynccontextmanager
async def connect(
    broker: Broker, client_id: str, will: Outgoing, check_dates: bool, timeout_s: float
) -> AsyncIterator[Connection]:
    """One connection. Leaving the block by an exception makes the broker publish the will.

    Raises:
        ConnectionLost: it can't be had.
        ConfigurationError: a file it needs can't be read (any more).
    """
    client = AsyncClient(
        client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        clean_start=True,
        keepalive=broker.keepalive_s,
        username=broker.username or None,
        password=password(broker),
        connect_properties=Properties({"session_expiry_interval": 0}),
        will=PublishMessage(will.topic, will.payload, qos=1, retain=will.retain),
        maximum_packet_size=_PACKET_BYTES_MAX,
        max_iterator_messages=_QUEUED_MESSAGES,
        reconnect=None,
        connect_timeout=timeout_s,
        subscribe_timeout=timeout_s,
    )
    codes = _tap(client)
    context = ssl_context(broker, check_dates)
    try:
        await client.connect(broker.host, broker.port, ssl=context)
    except (MQTTError, OSError) as error:
        raise _lost(error) from error
    reason = _WITH_WILL
    try:
        yield Connection(client, codes)
        reason = 0
    finally:
        await client.disconnect(reason)


def _tap(client: AsyncClient) -> dict[int, int]:
    """The reason codes of PUBACKs by packet identifier, as they are decoded."""
    codes: dict[int, int] = {}
    outbound: Any = client._engine.outbound
    decode = outbound._decode_puback

    def decode_and_tell(remaining: bytes) -> Any:
        decoded = decode(remaining)
        codes[decoded[0]] = decoded[1]
        return decoded

    outbound._decode_puback = decode_and_tell
    return codes


def _lost(error: MQTTError | OSError) -> ConnectionLost:
    return ConnectionLost(str(error), getattr(error, "reason_code", None))


def _properties(message: Outgoing) -> Properties | None:
    values: dict[str, Any] = {}
    if message.expiry_s is not None:
        values["message_expiry_interval"] = message.expiry_s
    if message.content_type:
        values["content_type"] = message.content_type
    if message.correlation:
        values["correlation_data"] = message.correlation
    if message.user:
        values["user_property"] = message.user
    return Properties(values) if values else None


def _read(file: str, remedy: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(file, "", _why(error), remedy) from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _no_passphrase() -> str:
    """Instead of asking at the terminal, which a service doesn't have."""
    return ""
