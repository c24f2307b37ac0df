"""What comes from outside is taken, or refused by its one typed refusal: never another exception,
never long, never without bound. `make fuzz` throws a million inputs; here some, and all that ever
broke something (hostile_inputs.txt)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz import takers
from bench.fuzz_files import Scratch
from bench.fuzzing import Taker, again, throw, told
from wire import mqtt

GROUPS = (
    *("batches", "configurations", "drivers", "envelopes", "files", "framers"),
    *("http", "messages", "modbus", "mqtt", "snmp", "watched"),
)
EACH = 1_000
KEPT = Path(__file__).with_name("hostile_inputs.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def everyone() -> list[Taker]:
    return takers(Scratch())


def test_no_taker_is_left_out(everyone):
    assert {taker.group for taker in everyone} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_inputs_are_refused_by_their_one_typed_refusal(everyone, group, seed):
    chosen = [taker for taker in everyone if taker.group == group]
    findings = throw(chosen, EACH, seed)
    assert findings.broken_count == 0, told(chosen, findings, True)


@pytest.mark.parametrize("line", [line for line in KEPT if line and not line.startswith("#")])
def test_what_broke_something_once_breaks_nothing_again(everyone, line):
    name, _, data = line.rpartition(" ")
    (taker,) = [one for one in everyone if f"{one.group}/{one.name}" == name]
    assert again(taker, bytes.fromhex(data))


def test_a_packet_full_of_user_properties_is_read_in_no_time(everyone):
    (taker,) = [one for one in everyone if (one.group, one.name) == ("mqtt", "stream")]
    packet = mqtt.publish(7, "gampong/v1/gw/batch", b"x", user=[("", "")] * 200_000)
    assert again(taker, packet) == "packets"
