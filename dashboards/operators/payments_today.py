"""What was paid since midnight: the sum by zone and the last payments, for the Parking page.

In: a store, now. Out: `Paid`. Two small questions, asked again when a payment arrives.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

import msgspec

from devices.kinds import PAYMENT
from ingest.stores import Aggregate, Query, Reader

NEWEST = 8


class Payment(msgspec.Struct, frozen=True):
    """One settled payment."""

    device: str
    site: str
    zone: str
    time_ms: int
    amount_idr: int
    method: str
    transaction: str


class Paid(msgspec.Struct, frozen=True):
    """Of the local day so far; `newest` first."""

    now_ms: int
    count: int
    sum_idr: int
    newest: list[Payment]


async def payments_today(store: Reader, now_ms: int, zone: tzinfo) -> Paid:
    """The day's payments up to now.

    Raises:
        StoreError: the store can't be read now.
    """
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start_ms = int(midnight.timestamp() * 1000)

    async def total(aggregate: Aggregate) -> int:
        rows = await store.read(
            Query(
                kind=PAYMENT.name,
                fields=("amount_idr",),
                start_ms=start_ms,
                stop_ms=now_ms + 1,
                aggregate=aggregate,
                group=(),
            )
        )
        return sum(round(float(row.fields["amount_idr"])) for row in rows)

    newest = await store.read(
        Query(
            kind=PAYMENT.name,
            fields=("amount_idr", "method", "transaction"),
            start_ms=start_ms,
            stop_ms=now_ms + 1,
            limit=NEWEST,
        )
    )
    return Paid(
        now_ms=now_ms,
        count=await total(Aggregate.COUNT),
        sum_idr=await total(Aggregate.SUM),
        newest=[
            Payment(
                row.tags["device"],
                row.tags["site"],
                row.tags["zone"],
                row.time_ms,
                int(row.fields.get("amount_idr", 0)),
                str(row.fields.get("method", "")),
                str(row.fields.get("transaction", "")),
            )
            for row in reversed(newest)
        ],
    )
