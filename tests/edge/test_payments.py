"""Payments from their message to the line: told twice is once, two of one second are two."""

from __future__ import annotations

import asyncio
import json
import random

import aiomqtt
import pytest

from devices.envelope import Uplink
from devices.payments import settled_ms
from edge.configuration import load_configuration
from edge.intake import Intake
from edge.links.make import make_links
from edge.records import Tally
from edge.settlements import REMEMBERED, Settlements
from tests.edge.links.heard import Heard, running, until
from tests.edge.test_intake import HandClock
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.line import parse_line

NOW = 1_790_000_000_000
SECOND = "2026-09-21T14:13:20Z"
TOML = """
[gateway]
name = "gw-1"
site = "pasar"

[field_map.qris]
kind = "payment"
fields.amount_idr = { from = "gross_amount" }
fields.transaction = { from = "transaction_id" }
time = { from = "settlement_time" }

[[link]]
type = "json"
name = "payments"
broker = { port = PORT }

[[device]]
name = "terminal-1"
driver = "qris"
link = "payments"
topic = "payments/terminal-1"
match = { status = "settlement" }
zone = "a"
"""


def configured(port: int = 1883, text: str = TOML):
    return load_configuration(text.replace("PORT", str(port)), "gateway.toml")


def message(transaction: str = "trx-1", amount: str = "2000.00", **other: object) -> bytes:
    told = {"transaction_id": transaction, "gross_amount": amount, "settlement_time": SECOND}
    return json.dumps({**told, "status": "settlement", **other}).encode()


class Bench:
    """An intake, and what it made of messages."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.intake = Intake(configured(), HandClock(NOW + 1000), self.tally, lambda: True, {})

    def readings(self, data: bytes):
        uplink = Uplink("terminal-1", 0, b"", NOW, decoded=data)
        return [parse_line(line.text)[0] for line in self.intake.take_uplink(uplink)]

    def refused(self) -> dict[str, int]:
        return {why: many for (name, why), many in self.tally.counts.items() if name == "refused"}


def same_millisecond() -> tuple[str, str]:
    """Two transactions whose numbers fall on one millisecond of a second."""
    seen: dict[int, str] = {}
    for number in range(2000):
        name = f"trx-{number}"
        if settled_ms(0, name) in seen:
            return seen[settled_ms(0, name)], name
        seen[settled_ms(0, name)] = name
    raise AssertionError("two thousand numbers on a thousand milliseconds")


def test_a_settled_payment_is_a_point_in_its_second_with_amount_and_transaction():
    (reading,) = Bench().readings(message())
    assert reading.kind == "payment"
    assert reading.time_ms == settled_ms(NOW, "trx-1")
    assert reading.time_ms // 1000 == NOW // 1000
    assert reading.fields == {"amount_idr": 2000, "transaction": "trx-1"}


def test_a_payment_told_twice_is_the_same_line_even_after_a_restart_or_with_another_time():
    bench = Bench()
    first = bench.readings(message())
    assert bench.readings(message()) == first
    assert Bench().readings(message()) == first
    (later,) = bench.readings(message(settlement_time="2026-09-21T14:13:19Z"))
    assert later.time_ms == first[0].time_ms


def test_two_payments_of_one_second_are_two_points():
    bench = Bench()
    names = ("trx-1", "trx-2", "trx-1", "trx-2")
    times = [bench.readings(message(name))[0].time_ms for name in names]
    assert times[:2] == times[2:]
    assert times[0] != times[1]


def test_no_payment_moves_whatever_second_its_repeat_names(seed):
    draw = random.Random(seed)
    settlements, placed = Settlements(), dict[str, int]()
    names = [f"trx-{number}" for number in range(REMEMBERED)]
    for name in (*draw.sample(names, len(names)), *draw.choices(names, k=500)):
        time_ms = settlements.place("terminal-1", name, NOW + 1000 * draw.randrange(3))
        assert placed.setdefault(name, time_ms) == time_ms


def test_what_is_remembered_of_a_terminal_is_bounded_and_other_terminals_are_apart():
    settlements = Settlements()
    first = settlements.place("terminal-1", "trx-0", NOW)
    for number in range(1, REMEMBERED + 2):
        settlements.place("terminal-1", f"trx-{number}", NOW + 2000 * number)
    assert settlements.place("terminal-1", "trx-0", NOW + 5000) != first  # forgotten by now
    assert settlements.place("terminal-2", "trx-0", NOW) == first


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"gross_amount": 1, "settlement_time": "2026-09-21T14:13:20Z"}', "format"),
        (b'{"transaction_id": "x", "settlement_time": "2026-09-21T14:13:20Z"}', "format"),
        (message(settlement_time="yesterday"), "time"),
        (message(settlement_time="2027-09-21T14:13:20Z"), "time"),
        (message(amount="-5"), "range"),
        (message(amount="12.50"), "type"),
        (message(transaction="x" * 65), "format"),
        (b"not json", "format"),
    ],
)
def test_a_message_that_is_no_payment_is_refused_and_counted(data, reason):
    bench = Bench()
    assert bench.readings(data) == []
    assert bench.refused() == {reason: 1}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('fields.amount_idr = { from = "gross_amount" }', "fields.amount_idr"),
        ('fields.transaction = { from = "transaction_id" }', "fields.transaction"),
        ('time = { from = "settlement_time" }', "time"),
    ],
)
def test_a_map_without_what_makes_a_payment_one_is_refused(line, key):
    with pytest.raises(ConfigurationError) as error:
        configured(text=TOML.replace(line, ""))
    assert error.value.key == f"field_map.qris.{key}"


def test_what_is_still_pending_is_not_taken_and_nothing_paid_meanwhile_is_missed(mosquitto):
    async def scenario():
        sink = Heard()
        (link,) = make_links(configured(mosquitto.port), sink, SystemClock())
        topic = "payments/terminal-1"
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as gateway:
            async with running(link):
                await until(lambda: link.status().state == "up")
                await gateway.publish(topic, message(status="pending"), qos=1)
                await gateway.publish(topic, message("trx-1"), qos=1)
                await until(lambda: sink.uplinks)
            await gateway.publish(topic, message("trx-2"), qos=1)
            async with running(link):
                await until(lambda: len(sink.uplinks) == 2)
        assert link.status().errors.get("unmatched") == 1
        bench = Bench()
        told = [bench.readings(one.decoded)[0].fields["transaction"] for one in sink.uplinks]
        assert told == ["trx-1", "trx-2"]

    asyncio.run(scenario())
