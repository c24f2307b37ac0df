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
from edge.certificate_words import in_words
from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, fails, passes, warns
from edge.identity import current_broker
from wire import mqtt
from wire.configuration import Broker, ConfigurationError
from wire.mqtt_link import Link, Lost
from wire.topics import Leaf, topic

TIMEOUT_S = 10.0
SLOW_S = 2.0
CERTIFICATE_WARN_DAYS = 30
NOBODY_LISTENS = 0x10
_PACKET_BYTES_MAX = 256 * 1024
_SILENT = "no answer in time"


async def look_at_network(configuration: EdgeConfiguration) -> AsyncIterator[Finding]:
    """Findings in the order of the way; the first that fails ends it."""
    broker = current_broker(configuration)
    now = datetime.now(UTC)
    if broker.tls is not None:
        for look, file in (
            ("certificate", broker.tls.certificate_file),
            ("authority", broker.tls.ca_file),
        ):
            yield certificate(look, Path(file), now)
    found = await name(broker.host)
    yield found
    if found.remedy and found.verdict == "fail":
        return
    async for finding in reach(configuration.gateway.name, broker):
        yield finding


def certificate(look: str, file: Path, now: datetime) -> Finding:
    """Its dates; an expired one shuts the gateway out, and says so only at the broker."""
    from cryptography import x509

    try:
        (first, *_) = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        return fails(look, f"{file}: {error}", "Enrol again: gampong edge enrol")
    left = (first.not_valid_after_utc - now).days
    seen = f"{first.subject.rfc4514_string()}, until {first.not_valid_after_utc:%Y-%m-%d}"
    if first.not_valid_before_utc > now:
        remedy = "Is this machine's clock right?"
        return fails(look, f"{seen}; good only from {first.not_valid_before_utc:%Y-%m-%d}", remedy)
    remedy = "Ask the operator for a new bundle, then: gampong edge enrol"
    if left < 0:
        return fails(look, f"{seen}: expired", remedy)
    return (
        warns(look, f"{seen}: {left} days", remedy)
        if left < CERTIFICATE_WARN_DAYS
        else passes(look, seen)
    )


async def name(host: str) -> Finding:
    """Whether the broker's name resolves."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as error:
        remedy = "Is the link up (ip route)? Is there a name server (resolvectl status)?"
        return fails("name", f"{host}: {str(error) or _SILENT}", remedy)
    took_s = time.monotonic() - began
    seen = f"{host} is {found[0][4][0]}, in {took_s * 1000:.0f} ms"
    if took_s > SLOW_S:
        return warns("name", seen, "The name server is slow: try another")
    return passes("name", seen)


async def reach(gateway: str, broker: Broker) -> AsyncIterator[Finding]:
    """The connection, and whether the cloud listens."""
    look, where = "broker", f"{broker.host}:{broker.port}"
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
        yield passes(look, f"{where} lets us in, in {1000 * (time.monotonic() - began):.0f} ms")
        async with asyncio.timeout(TIMEOUT_S):
            own = topic(gateway, Leaf.BATCH)
            code = await link.published(lambda mid: mqtt.publish(mid, own, b""))
        yield _listening(code)
    except (Lost, OSError, TimeoutError, ConfigurationError) as error:
        yield fails(look, f"{where}: {in_words(error).text or _SILENT}", _remedy(error))
    finally:
        await link.close()


def _listening(code: int) -> Finding:
    if code == 0:
        return passes("cloud", "an ingestor listens")
    if code == NOBODY_LISTENS:
        remedy = "Nothing to do here: readings wait. The operator looks at the ingestor"
        return warns("cloud", "the broker is there, nobody listens behind it", remedy)
    remedy = "The operator gives this gateway its access: gampong gateway add"
    return fails("cloud", f"the broker refuses our batches (0x{code:02x})", remedy)


def _remedy(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "Is this the right broker, and this machine's clock right? See authority above"
    if isinstance(error, ConnectionRefusedError):
        return "Is the port right, and the broker up?"
    if isinstance(error, TimeoutError):
        return "A firewall, or no internet: try another network"
    if isinstance(error, ConfigurationError):
        return error.remedy or "Enrol again: gampong edge enrol"
    return "The broker's log says why it hung up; is the certificate revoked or expired?"
