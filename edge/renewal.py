"""A gateway renews its certificate by itself, over the link it has, before the old one ends.

In: the identity (`edge/identity.py`), the time once it is known. Out: a renewed identity, or an
alarm and another try. Every step may be cut off by a power cut and is done again, to the same end:

    1. less than a third of its life is left: a key is made, once (pending.key)
    2. a request for it goes out on a connection of its own, with the present certificate
    3. the answer is believed or not (`identity_worker.py`); then key and certificate are kept
       (candidate.pem)
    4. a connection with the new one: does the broker let it in, as this gateway?
    5. only then is it taken up (renewed.pem), and the uplink connects anew with it

The readings' own connection goes on all the while. What fails before 5 changes nothing; what is
refused later goes back to the one before (`Identity.refused`). Alarms, in the status:
`certificate_ending` when half of that third has passed without a new one, `certificate_over`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge.broker import Connection, ConnectionLost, Outgoing, connect
from edge.configuration import CloudBroker, EdgeConfiguration
from edge.identity import CANDIDATE, PENDING, REPLACES, Identity, fingerprint, replaces, showing
from edge.site_log import What, note_here
from edge.timekeeping import Timekeeping
from wire.certificates import CertificateAnswer, CertificateRequest
from wire.configuration import ConfigurationError
from wire.malformed import MALFORMED
from wire.messages import BadMessage, decode_message, encode_message
from wire.topics import Leaf, topic

LIFE_LEFT = 3
"""It is time when less than one part in so many is left of a certificate's life."""

CONNECT_S = 20.0
WORKER_S = 60.0
"""Python starts, from a slow card."""

NO_RIGHT = "the broker lets us ask for no certificate: the operator runs gampong gateway access"

_WORKER = Path(__file__).with_name("identity_worker.py")
_log = logging.getLogger(__name__)


class Pace(NamedTuple):
    """Wall seconds: how often it looks, how soon a try that failed is made again (somewhere
    between half and all of it, so that a city's gateways don't come together), how long it waits
    for an answer."""

    look_s: float = 6 * 3600.0
    again_s: float = 3600.0
    answer_s: float = 60.0


PACE = Pace()


class NotRenewed(Exception):
    """This try came to nothing; the text says why."""


class Papers(msgspec.Struct, frozen=True):
    """A certificate, as far as it matters here."""

    name: str
    from_ms: int
    until_ms: int

    def alarms(self, now_ms: int) -> tuple[str, ...]:
        left_ms = self.until_ms - now_ms
        if left_ms < 0:
            return ("certificate_over",)
        late = left_ms * 2 * LIFE_LEFT < self.until_ms - self.from_ms
        return ("certificate_ending",) if late else ()

    def is_due(self, now_ms: int) -> bool:
        return (self.until_ms - now_ms) * LIFE_LEFT < self.until_ms - self.from_ms


async def renew(
    configuration: EdgeConfiguration,
    identity: Identity,
    timekeeping: Timekeeping,
    pace: Pace = PACE,
) -> None:
    """Look after the certificate until cancelled; returns at once where there is none."""
    if configuration.broker.tls is None:
        return
    clock, renewal = timekeeping.clock, Renewal(configuration, identity, pace)
    while True:
        pause_s = pace.again_s
        if timekeeping.time_trusted():
            try:
                if not await renewal.look(clock.now_ms()):
                    pause_s = pace.look_s
            except (NotRenewed, ConnectionLost, ConfigurationError, OSError) as error:
                _log.warning("event=not_renewed reason=%r", str(error))
        else:
            pause_s = min(pause_s, 60.0)
        await clock.pause(pause_s * random.uniform(0.5, 1.0))


class Renewal:
    """One gateway's. `look` does whatever is due now."""

    def __init__(self, configuration: EdgeConfiguration, identity: Identity, pace: Pace) -> None:
        self._gateway = configuration.gateway.name
        self._enrolled, self._identity, self._pace = configuration.broker, identity, pace

    async def look(self, now_ms: int) -> bool:
        """Whether something is still to be done after this.

        Raises:
            NotRenewed, ConnectionLost, ConfigurationError, OSError: not now.
        """
        candidate = self._identity.folder / CANDIDATE
        if replaces(candidate, self._enrolled):
            await self._try(candidate, now_ms)
        broker = self._identity.broker()
        assert broker.tls is not None
        papers = await _papers(broker.tls.certificate_file)
        self._identity.alarms = papers.alarms(now_ms)
        if papers.name != self._gateway:
            raise NotRenewed(f"the certificate is {papers.name!r}'s, not {self._gateway!r}'s")
        if not papers.is_due(now_ms):
            return False
        await self._obtain(broker, papers, now_ms)
        await self._try(candidate, now_ms)
        self._identity.alarms = ()
        return False

    async def _obtain(self, broker: CloudBroker, papers: Papers, now_ms: int) -> None:
        """A candidate."""
        assert self._enrolled.tls is not None
        folder = self._identity.folder
        key_file = str(folder / PENDING)
        made = await _work("request", key_file=key_file, name=self._gateway)
        request = msgspec.convert(made, CertificateRequest, strict=False)
        answer = await self._ask(broker, request)
        if answer.refused:
            raise NotRenewed(f"refused: {answer.refused}")
        replaced = fingerprint(self._enrolled.tls.certificate_file)
        await _work(
            "accept",
            certificates=answer.certificates,
            key_file=key_file,
            ca_file=self._enrolled.tls.ca_file,
            name=self._gateway,
            now_ms=now_ms,
            after_ms=papers.until_ms,
            head=f"{REPLACES}{replaced}\n",
            candidate_file=str(folder / CANDIDATE),
        )

    async def _ask(self, broker: CloudBroker, request: CertificateRequest) -> CertificateAnswer:
        """Over a connection of its own."""
        answers = topic(self._gateway, Leaf.CERTIFICATE)
        asking = Outgoing(
            topic(self._gateway, Leaf.CERTIFICATE_REQUEST),
            encode_message(request),
            expiry_s=max(1, int(self._pace.answer_s)),
        )
        async with self._connected(broker) as connection:
            try:
                await connection.subscribe([answers], kept=False)
            except ConnectionLost as error:
                if error.code is None:
                    raise
                raise NotRenewed(f"{NO_RIGHT} (0x{error.code:02x})") from error
            code = await connection.publish(asking)
            if code >= 0x80:
                raise NotRenewed(f"{NO_RIGHT} (0x{code:02x})")
            if code:
                raise NotRenewed("nobody renews certificates now")
            try:
                async with asyncio.timeout(self._pace.answer_s):
                    return await _answer(connection, answers)
            except TimeoutError as error:
                raise NotRenewed(f"no answer within {self._pace.answer_s:g} s") from error

    async def _try(self, candidate: Path, now_ms: int) -> None:
        """Take it up if the broker lets it in, as this gateway; put it away if it doesn't.

        Raises:
            ConnectionLost: the broker is away for the present one, too; it is tried again.
            NotRenewed: it was refused.
        """
        why = ""
        try:
            async with self._connected(showing(self._enrolled, candidate)) as connection:
                empty = Outgoing(topic(self._gateway, Leaf.CERTIFICATE_REQUEST), b"")
                code = await connection.publish(empty)
                why = f"the broker refuses it (0x{code:02x})" if code >= 0x80 else ""
        except ConnectionLost as error:
            if not error.refused:  # a broker may hang up before its reason is read
                async with self._connected(self._identity.broker()):
                    pass
            why = str(error)
        except ConfigurationError as error:  # damaged on the card
            why = str(error)
        if why:
            self._identity.put_away()
            raise NotRenewed(f"the new certificate isn't let in: {why}")
        self._identity.take_up()
        _log.info("event=certificate_renewed")
        folder = self._identity.folder.parent
        await asyncio.to_thread(note_here, folder, What.RENEWED, now_ms, who="agent")

    def _connected(self, broker: CloudBroker) -> Any:
        return connect(broker, f"{self._gateway}-renewal", None, True, CONNECT_S)


async def _answer(connection: Connection, answers: str) -> CertificateAnswer:
    async for message in connection.messages():
        if message.topic == answers:
            try:
                return decode_message(message.payload, CertificateAnswer)
            except BadMessage as error:
                raise NotRenewed(f"an answer that can't be read: {error}") from error
    raise NotRenewed("no answer")


async def _papers(certificate_file: str) -> Papers:
    return msgspec.convert(await _work("inspect", certificate_file=certificate_file), Papers)


async def _work(do: str, **words: Any) -> Any:
    """Ask the worker.

    Raises:
        NotRenewed: it couldn't.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_WORKER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={},
        start_new_session=True,  # a terminal's Ctrl-C is for the agent
    )
    try:
        async with asyncio.timeout(WORKER_S):
            said, _ = await process.communicate(msgspec.json.encode({"do": do, **words}))
        answer = msgspec.json.decode(said)
    except TimeoutError as error:
        raise NotRenewed(f"{do}: no answer in {WORKER_S:g} s") from error
    except MALFORMED as error:
        raise NotRenewed(f"{do}: the process ended with {process.returncode}") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not isinstance(answer, dict) or "fault" in answer:
        raise NotRenewed(str(answer.get("fault") if isinstance(answer, dict) else answer))
    return answer
