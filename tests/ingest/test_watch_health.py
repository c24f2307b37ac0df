"""Silence is told from delay, delay from a dead gateway, and work from all of them."""

from __future__ import annotations

import re

import msgspec
import pytest

from ingest.health import (
    AGE_MAX_S,
    Heard,
    clean_text,
    device_facts,
    device_state,
    gateway_fact,
    gateway_online,
)
from ingest.places import registry_points
from ingest.rates import Rates
from ingest.registry import Registry, RegistryFile
from ingest.stores.kinds import CLOUD_KINDS
from wire.line import line_pattern
from wire.messages import Inventory, InventoryDevice, Ledger, Place, Status

BAY = InventoryDevice("bay-1", "parking_spot", "x", "a", 600, 1560, Place(5.5, 95.3), "Kios <b>")
CITY = Inventory("mahirah-01", "pasar", 60, (BAY,), Place(5.5, 95.3), "Pasar Al Mahirah")
ONLINE = Heard(Status("mahirah-01", True, ledger=Ledger(taken=1, accepted=1, waiting=1)), 100.0)


@pytest.mark.parametrize(
    ("age_s", "online", "waiting_age_s", "state"),
    [
        (10, True, 0, "ok"),
        (10, False, 0, "ok"),
        (2000, True, 0, "silent"),
        (2000, True, 1600, "delayed"),
        (2000, False, 9999, "gateway_offline"),
    ],
)
def test_an_age_is_explained_by_what_is_known_of_the_gateway(
    age_s: float, online: bool, waiting_age_s: float, state: str
) -> None:
    assert device_state(BAY, age_s, online, waiting_age_s) == state


def test_a_gateway_without_a_status_for_three_minutes_is_offline() -> None:
    assert gateway_online(ONLINE, 279.0)
    assert not gateway_online(ONLINE, 281.0)
    assert not gateway_online(Heard(Status("mahirah-01", False), 100.0), 100.0)
    assert not gateway_online(None, 0.0)


def test_a_device_never_heard_is_silent_not_absent() -> None:
    (fact,) = device_facts(CITY, {}, ONLINE, 1_790_000_000_000, 100.0)
    line = fact.line(1_790_000_000_000)
    assert 'state="silent"' in line
    assert f"age_s={AGE_MAX_S:.0f}," in line


def test_a_terminal_that_nobody_has_paid_at_is_silent_only_after_its_expiry() -> None:
    terminal = InventoryDevice("terminal-1", "payment", "qris", "a", 86_400, 216_060)
    announced_ms = 1_790_000_000_000
    registry = Registry()
    registry.announce(Inventory("mahirah-01", "pasar", 60, (BAY, terminal)), announced_ms)
    registry.announce(Inventory("mahirah-01", "pasar", 60, (terminal, BAY)), announced_ms + 9000)
    kept = msgspec.json.decode(msgspec.json.encode(registry.file), type=RegistryFile)

    def states(passed_s: int, newest_ms: dict[str, int]) -> dict[str, object]:
        now_ms = announced_ms + 1000 * passed_s
        inventory, first_ms = kept.inventories["mahirah-01"], kept.first_ms
        facts = device_facts(inventory, newest_ms, ONLINE, now_ms, 100.0, {}, first_ms)
        return {fact.place.device: fact.fields["state"] for fact in facts}

    assert states(1200, {}) == {"terminal-1": "ok", "bay-1": "silent"}
    assert states(216_060, {})["terminal-1"] == "ok"
    assert states(216_061, {})["terminal-1"] == "silent"
    paid = {"terminal-1": announced_ms + 3_600_000}
    assert states(216_061, paid)["terminal-1"] == "ok"
    assert states(219_661, paid)["terminal-1"] == "silent"


def test_every_health_line_is_inside_the_grammar_of_its_kind() -> None:
    now_ms = 1_790_000_000_000
    newest, shows = {"bay-1": now_ms - 10_000}, {"bay-1": "free"}
    rates = Rates().hear(ONLINE.status, 100.0, 0.0)
    facts = [
        *device_facts(CITY, newest, ONLINE, now_ms, 100.0, shows),
        gateway_fact(CITY, ONLINE, now_ms, 100.0, rates),
        gateway_fact(CITY, None, now_ms, 100.0),
    ]
    lines = [*(fact.line(now_ms) for fact in facts), *registry_points(CITY, now_ms)]
    for line in lines:
        kind = CLOUD_KINDS[line.partition(",")[0]]
        without_gateway = line.replace(",gateway=mahirah-01", "")
        assert re.fullmatch(line_pattern(kind), without_gateway), line


def test_a_gateways_text_is_cut_to_the_alphabet() -> None:
    assert clean_text('a"b\n<c>' + "x" * 100) == ("a b  c " + "x" * 100)[:64]
