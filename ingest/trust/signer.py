"""The service that renews gateways' certificates: requests over MQTT in, answers out.

One process, on the machine that holds the authority; it opens no port. It connects as `signer`,
which may read requests and send answers and nothing else. The authority's key is in its memory for
as long as it runs, unlocked with the passphrase's file: whoever takes over that machine is the
authority until somebody notices. A city that doesn't want that doesn't run it, and renews by hand.

A gateway that asks again within `PAUSE_S` isn't answered; requests are judged one after
the other, in a thread, since each may cost a disk's sync. The broker holds what waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from ingest.broker import Connection, Door, Lost, Received, connected
from ingest.trust.renewals import Renewals
from wire.clock import Clock
from wire.messages import encode_message
from wire.topics import Leaf, every, gateway_of, topic

PAUSE_S = 10.0
ANSWER_EXPIRY_S = 60
RECONNECT_S = (0.2, 3.0)
ASKED_MAX = 10_000
"""Gateways whose last request is remembered; beyond them the oldest is forgotten."""

log = logging.getLogger("gampong.signer")


class Signer:
    """Serves until cancelled.

    Args:
        renewals: judges and signs.
        clock: for pauses.
        today: the date that certificates are dated by.
        pause_s: wall seconds between two questions of a gateway that are answered.
    """

    def __init__(
        self,
        renewals: Renewals,
        clock: Clock,
        today: Callable[[], datetime],
        pause_s: float = PAUSE_S,
    ) -> None:
        self._renewals, self._clock, self._today = renewals, clock, today
        self._pause_s = pause_s
        self._asked_s: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    async def run(self, door: Door, client_id: str) -> None:
        """Stay connected, and answer."""
        pause = RECONNECT_S[0]
        while True:
            try:
                async with connected(door, client_id) as connection:
                    await connection.subscribe(every(Leaf.CERTIFICATE_REQUEST))
                    log.info("event=listening")
                    pause = RECONNECT_S[0]
                    async for received in connection.messages():
                        await self._take(connection, received)
                        await connection.acknowledge(received)
            except Lost as error:
                log.warning("event=broker_lost why=%r", str(error)[:200])
            await self._clock.pause(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, RECONNECT_S[1])

    async def _take(self, connection: Connection, received: Received) -> None:
        message = received.envelope
        gateway = gateway_of(message.topic, Leaf.CERTIFICATE_REQUEST)
        if gateway is None or not message.payload:  # an empty one only tries whether it may ask
            return
        now_s = self._clock.monotonic()
        if now_s < self._asked_s.get(gateway, -self._pause_s) + self._pause_s:
            self.counts["too_soon"] += 1
            return
        self._asked_s.pop(gateway, None)
        self._asked_s[gateway] = now_s
        if len(self._asked_s) > ASKED_MAX:
            del self._asked_s[next(iter(self._asked_s))]
        answer = await asyncio.to_thread(
            self._renewals.answer, gateway, bytes(message.payload), self._today()
        )
        self.counts[answer.refused or "signed"] += 1
        log.info("event=asked gateway=%s answer=%s", gateway, answer.refused or "signed")
        payload = encode_message(answer)
        answers = topic(gateway, Leaf.CERTIFICATE)
        await connection.publish(answers, payload, ANSWER_EXPIRY_S, self._unheard)

    def _unheard(self, reason: str) -> None:
        log.error("event=answer_refused code=%s remedy=%r", reason, "gampong gateway access")
