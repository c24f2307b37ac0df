"""The way to the cloud: names, certificates, the broker, and whether somebody listens there.

In: the configuration. Out: findings. Connects once, with a client id of its own, so that the agent
beside it isn't disturbed; it sends one empty message to the gateway's own batch topic, which no
ingestor takes for readings: the broker's PUBACK says whether anybody is subscribed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from edge.broker import password, ssl_context
from edge.certificate_words import told_of
from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, fails, passes, warns
from edge.identity import current_broker
from wire import mqtt
from wire.configuration import Broker, ConfigurationError
from wire.mqtt_link import Link, Lost
from wire.sentence import Told, constant, system_told, told
from wire.topics import Leaf, topic

TIMEOUT_S = 10.0
SLOW_S = 2.0
CERTIFICATE_WARN_DAYS = 30
NOBODY_LISTENS = 0x10
_PACKET_BYTES_MAX = 256 * 1024
_SILENT = told("no answer in time")
_NAME, _BROKER, _CLOUD = told("name"), told("broker"), told("cloud")
_ENROL = told("Enrol again: gampong edge enrol")


async def look_at_network(configuration: EdgeConfiguration) -> AsyncIterator[Finding]:
    """Findings in the order of the way; the first that fails ends it."""
    broker = current_broker(configuration)
    now = datetime.now(UTC)
    if broker.tls is not None:
        for look, file in (
            (told("certificate"), broker.tls.certificate_file),
            (told("authority"), broker.tls.ca_file),
        ):
            yield certificate(look, Path(file), now)
    found = await name(broker.host)
    yield found
    if found.remedy and found.verdict == "fail":
        return
    async for finding in reach(configuration.gateway.name, broker):
        yield finding


def certificate(look: Told, file: Path, now: datetime) -> Finding:
    """Its dates; an expired one shuts the gateway out, and says so only at the broker."""
    from cryptography import x509

    try:
        (first, *_) = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion) as error:
        why = system_told(error) if isinstance(error, OSError) else error
        return fails(look, told("{file}: {why}", file=file, why=why), _ENROL)
    left = (first.not_valid_after_utc - now).days
    seen = told(
        "{subject}, until {end:%Y-%m-%d}",
        subject=first.subject.rfc4514_string(),
        end=first.not_valid_after_utc,
    )
    if first.not_valid_before_utc > now:
        early = told(
            "{seen}; good only from {begin:%Y-%m-%d}", seen=seen, begin=first.not_valid_before_utc
        )
        return fails(look, early, told("Is this machine's clock right?"))
    remedy = told("Ask the operator for a new bundle, then: gampong edge enrol")
    if left < 0:
        return fails(look, told("{seen}: expired", seen=seen), remedy)
    if left < CERTIFICATE_WARN_DAYS:
        return warns(look, told("{seen}: {left} days", seen=seen, left=left), remedy)
    return passes(look, seen)


async def name(host: str) -> Finding:
    """Whether the broker's name resolves."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as error:
        remedy = told("Is the link up (ip route)? Is there a name server (resolvectl status)?")
        seen = told("{host}: {why}", host=host, why=system_told(error) or _SILENT)
        return fails(_NAME, seen, remedy)
    took_s = time.monotonic() - began
    seen = told(
        "{host} is {address}, in {took_ms:.0f} ms",
        host=host,
        address=found[0][4][0],
        took_ms=took_s * 1000,
    )
    if took_s > SLOW_S:
        return warns(_NAME, seen, told("The name server is slow: try another"))
    return passes(_NAME, seen)


async def reach(gateway: str, broker: Broker) -> AsyncIterator[Finding]:
    """The connection, and whether the cloud listens."""
    where = f"{broker.host}:{broker.port}"
    began = time.monotonic()
    link = Link(broker.keepalive_s)
    try:
        hello = mqtt.connect(
            f"{gateway}-doctor",
            broker.keepalive_s,
            broker.username or None,
            password(broker),
            _PACKET_BYTES_MAX,
        )
        async with asyncio.timeout(TIMEOUT_S):
            await link.open(broker.host, broker.port, ssl_context(broker), hello)
        took_ms = 1000 * (time.monotonic() - began)
        seen = told("{where} lets us in, in {took_ms:.0f} ms", where=where, took_ms=took_ms)
        yield passes(_BROKER, seen)
        async with asyncio.timeout(TIMEOUT_S):
            own = topic(gateway, Leaf.BATCH)
            code = await link.published(lambda mid: mqtt.publish(mid, own, b""))
        yield _listening(code)
    except (Lost, OSError, TimeoutError, ConfigurationError) as error:
        seen = told("{where}: {why}", where=where, why=_why(error) or _SILENT)
        yield fails(_BROKER, seen, _remedy(error))
    finally:
        await link.close()


def _listening(code: int) -> Finding:
    if code == 0:
        return passes(_CLOUD, told("an ingestor listens"))
    if code == NOBODY_LISTENS:
        remedy = told("Nothing to do here: readings wait. The operator looks at the ingestor")
        return warns(_CLOUD, told("the broker is there, nobody listens behind it"), remedy)
    remedy = told("The operator gives this gateway its access: gampong gateway add")
    return fails(_CLOUD, told("the broker refuses our batches (0x{code:02x})", code=code), remedy)


def _why(error: Exception) -> Told:
    if isinstance(error, Lost) and error.code is not None:
        return Told(str(error), "refused with 0x{code:02x}", {"code": error.code})
    if isinstance(error, ConfigurationError):
        return told("{file}: {problem}", file=error.source, problem=constant(error.problem))
    return told_of(error)


def _remedy(error: Exception) -> Told:
    if isinstance(error, ssl.SSLCertVerificationError):
        return told("Is this the right broker, and this machine's clock right? See authority above")
    if isinstance(error, ConnectionRefusedError):
        return told("Is the port right, and the broker up?")
    if isinstance(error, TimeoutError):
        return told("A firewall, or no internet: try another network")
    if isinstance(error, ConfigurationError):
        return constant(error.remedy) if error.remedy else _ENROL
    return told("The broker's log says why it hung up; is the certificate revoked or expired?")
