"""What the wire may carry: judged at every batch that a gateway sends.

a sequence of an epoch has one digest for ever, unless a card was copied
no batch is sent while a copy of it still waits in the broker, but for those that the broker makes
and those of the agent's former life, of which it knows nothing
a gateway has no more copies in the broker than its windows and what lost links may leave
`batch` is for what was sealed while connected; all else says that it is back-fill
nothing is sent that doesn't know its time
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.window import LOST_MAX
from tests.simulation.broker import waiting_in
from tests.simulation.truth import Truth
from wire.batch import BatchKey, decode_batch
from wire.topics import Leaf, gateway_of

if TYPE_CHECKING:
    from tests.simulation.broker import Broker, Message, Session

COPIES_MAX = 4 + 4 + LOST_MAX
UPTIME_BELOW_MS = 10**11


class Courier:
    """Looks at what gateways publish."""

    def __init__(self, now: Callable[[], float], truth: Truth, broker: Broker) -> None:
        self._now, self._truth, self._broker = now, truth, broker
        self._digests: dict[tuple[bytes, int], bytes] = {}
        self._seen: set[bytes] = set()
        self.copied: set[str] = set()  # gateways of whose card there was a copy
        self.copies_max = 0

    def published(self, session: Session, message: Message) -> None:
        """A gateway sends a batch."""
        if message.correlation is None:
            return
        gateway = gateway_of(message.topic, Leaf.BATCH) or gateway_of(message.topic, Leaf.BACKFILL)
        assert gateway is not None
        key = BatchKey.unpack(message.correlation)
        for why in (
            self._reused(gateway, key),
            self._copies(gateway, session, message),
            self._late(session, message, key),
            self._timeless(message, key),
        ):
            if why:
                self._truth.problem(f"{gateway}: batch {key.sequence}: {why}")

    def _reused(self, gateway: str, key: BatchKey) -> str:
        known = self._digests.setdefault((key.epoch, key.sequence), key.digest)
        same = known == key.digest or gateway in self.copied
        return "" if same else "a sequence used twice"

    def _copies(self, gateway: str, session: Session, message: Message) -> str:
        """Of one life, a batch has one copy in the broker; two where `hold` answered the copy of a
        life before, or one whose acknowledgement got lost."""
        now, own, same = self._now(), 1, 0
        for each in self._broker.sessions.values():
            for queued in waiting_in(each):
                alive = queued.expires_at is None or now < queued.expires_at
                if alive and queued.origin == session.client.process.life:
                    own += queued.correlation is not None
                    same += queued.correlation == message.correlation
        self.copies_max = max(self.copies_max, own)
        if now < self._broker.doubled_until:
            return ""
        if same > 1 and gateway not in self.copied:
            return "sent while two copies wait in the broker"
        return f"{own} copies in the broker" if own > COPIES_MAX else ""

    def _late(self, session: Session, message: Message, key: BatchKey) -> str:
        if not message.topic.endswith(f"/{Leaf.BATCH}"):
            return ""
        account = self._truth.accounts[session.client.process.name]
        sealed_s = account.sealed_at.get(key.digest, -1.0)
        return "" if sealed_s >= session.opened_s else "back-fill that says it is live"

    def _timeless(self, message: Message, key: BatchKey) -> str:
        if key.digest in self._seen:
            return ""
        self._seen.add(key.digest)
        times = (int(line.rpartition(" ")[2]) for line in decode_batch(message.payload))
        return "sent without its time" if min(times) < UPTIME_BELOW_MS else ""
