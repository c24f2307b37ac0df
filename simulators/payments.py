"""Who pays for parking: a terminal for each zone, and the messages its payment gateway sends.

    {"transaction_id":"TRX-bay-07-1790000000","status":"settlement","gross_amount":"1500.00",
     "payment_type":"qris","settlement_time":"2026-09-21T21:13:20.000000000+00:00"}

on the terminal's own topic at QoS 1, within half a minute of somebody's leaving. The form is that
of Indonesian payment gateways [M]: amounts as text with decimals, times to the second. That 17 of
20 drivers pay, and pay what the tariff says to the nearest hundred, is invented [I].

A collector who keeps the money (`collector_keeps`, zones by name) is somebody who is paid by hand
there: of four payments three never reach the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from devices.envelope import rfc3339
from devices.kinds import PAYMENT
from devices.payments import SECOND_MS, settled_ms
from devices.reading import Value
from simulators.city import Terminal
from simulators.faults import Faults
from simulators.network_server import NetworkServer, Verdict
from simulators.parking import ParkingBay
from simulators.seeds import Jitter
from simulators.truth import How, Row, Truth
from wire.clock import Clock

IDR_PER_HOUR = 2_000
PAID_SHARE = 0.85  # of those who leave [I]
KEPT_SHARE = 0.75  # of payments, where a collector keeps them [I]
SMALLEST_IDR = 500
DRIVER = "qris"
"""The field map's name in the gateways' files."""

FIELD_MAP: Mapping[str, Any] = {
    "kind": PAYMENT.name,
    "fields": {
        "amount_idr": {"from": "gross_amount"},
        "transaction": {"from": "transaction_id"},
        "method": {"from": "payment_type", "values": {"qris": "qris", "credit_card": "card"}},
    },
    "time": {"from": "settlement_time"},
    "heartbeat_s": 86_400,
}
SETTLED = {"status": "settlement"}
_LOOK_S = 30.0  # city
_HOUR_MS = 3_600_000
_NEVER_ARRIVES = (Verdict.NOBODY_LISTENS, Verdict.REFUSED)


class Payment(msgspec.Struct, frozen=True):
    """One that a driver made; `kept`: it never reached the terminal."""

    time_ms: int
    transaction: str
    amount_idr: int
    kept: bool = False

    @property
    def message(self) -> bytes:
        """What the payment gateway says of it."""
        told = {
            "transaction_id": self.transaction,
            **SETTLED,
            "gross_amount": f"{self.amount_idr}.00",
            "payment_type": "qris",
            "settlement_time": rfc3339(self.time_ms),
        }
        return msgspec.json.encode(told)

    def row(self, terminal: str, how: How, fault: str = "") -> Row:
        """The truth's; its time is that of the point which the line makes of it."""
        fields: dict[str, Value] = {
            "amount_idr": self.amount_idr,
            "transaction": self.transaction,
            "method": "qris",
        }
        time_ms = settled_ms(self.time_ms, self.transaction)
        return Row(terminal, PAYMENT.name, DRIVER, how, time_ms, fields, fault)


class Till:
    """One terminal and the bays it is for."""

    def __init__(
        self,
        seed: int,
        terminal: Terminal,
        bays: Sequence[ParkingBay],
        faults: Faults,
        draws: np.random.Generator,
    ) -> None:
        self.terminal = terminal
        self._bays = list(zip(terminal.bays, bays, strict=True))
        self._faults, self._draws = faults, draws
        self._jitter = {name: Jitter(seed, name, "pays") for name in terminal.bays}
        self._last_ms = 0

    def payments(self, after_ms: int, to_ms: int) -> Iterator[Payment]:
        """Those of who left in (after, to], in order, no two in one second: it is one terminal."""
        left = [
            (left_ms, stood_ms, name)
            for name, bay in self._bays
            for left_ms, stood_ms in bay.departures(after_ms, to_ms)
        ]
        for left_ms, stood_ms, name in sorted(left):
            jitter = self._jitter[name]
            if jitter.uniform(left_ms) >= PAID_SHARE:
                continue
            hundreds = round(IDR_PER_HOUR * stood_ms / _HOUR_MS / 100)
            second_ms = left_ms - left_ms % SECOND_MS
            self._last_ms = max(second_ms, self._last_ms + SECOND_MS)
            keeps = self.terminal.zone.name in self._faults.collector_keeps
            yield Payment(
                self._last_ms,
                f"TRX-{name}-{left_ms // SECOND_MS}",
                max(100 * hundreds, SMALLEST_IDR),
                keeps and jitter.uniform(left_ms, salt=1) < KEPT_SHARE,
            )

    async def run(self, server: NetworkServer, clock: Clock, truth: Truth) -> None:
        """Tell of payments until cancelled."""
        after_ms = clock.now_ms()
        while True:
            await clock.sleep(_LOOK_S)
            to_ms = clock.now_ms()
            for payment in self.payments(after_ms, to_ms):
                if payment.kept:
                    truth.write(payment.row(self.terminal.name, "lost", "kept"))
                else:
                    await self._tell(payment, server, truth)
            after_ms = to_ms

    async def _tell(self, payment: Payment, server: NetworkServer, truth: Truth) -> None:
        """Once, or twice as payment gateways do that didn't hear an answer."""
        twice = self._faults.pick(self._draws, ("duplicate",))
        for fault in ("", twice) if twice else ("",):

            def note(verdict: Verdict, fault: str = fault) -> None:
                how: How = "lost" if verdict in _NEVER_ARRIVES else "sent"
                truth.write(payment.row(self.terminal.name, how, verdict or fault))

            await server.publish(self.terminal.topic, payment.message, note)
