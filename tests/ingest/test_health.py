"""What the watch says of a gateway each minute: drops by reason, failed reads by device, heat."""

from __future__ import annotations

import pytest

from ingest.health import Heard, device_facts, gateway_fact, read_errors
from ingest.rates import Rates
from wire.messages import Inventory, InventoryDevice, Ledger, LinkStatus, Status

NOW_MS = 1_795_100_400_000


def status(*links: LinkStatus, **more: float) -> Status:
    ledger = Ledger(taken=9, accepted=9, waiting=2, dropped={"full": 4, "damaged": 3})
    return Status("gw-1", True, ledger=ledger, links=links, **more)  # type: ignore[arg-type]


def test_readings_that_were_dropped_are_told_by_reason():
    fields = gateway_fact(Inventory("gw-1", "pasar", 60), Heard(status(), 0.0), NOW_MS, 1.0).fields
    assert (fields["dropped"], fields["dropped_full"], fields["dropped_damaged"]) == (7, 4, 3)


@pytest.mark.parametrize(
    ("alarms", "online", "says"),
    [
        ((), True, "ok"),
        (("cloned", "nobody_listens"), True, "ok"),
        (("certificate_ending", "disk_full"), True, "ending"),
        (("certificate_over",), True, "over"),
        (("certificate_ending", "certificate_over"), True, "over"),
        ((), False, None),
        (("certificate_ending",), False, None),
    ],
)
def test_a_certificate_is_told_by_its_alarms_and_not_at_all_by_a_last_will(
    alarms: tuple[str, ...], online: bool, says: str | None
) -> None:
    heard = Heard(Status("gw-1", online, alarms=alarms), 0.0)
    fields = gateway_fact(Inventory("gw-1", "pasar", 60), heard, NOW_MS, 1.0).fields
    assert fields.get("certificate") == says


def test_failed_reads_are_told_of_the_device_on_the_bus_and_of_nobody_else():
    bus = LinkStatus("rs485", "up", {"bay-1:timeout": 5, "bay-1:checksum": 2, "late": 9})
    other = LinkStatus("rs485-2", "up", {"bay-3:timeout": 1, "bay-4:timeout": -8})
    assert read_errors(status(bus, other)) == {"bay-1": 7, "bay-3": 1, "bay-4": 0}
    devices = tuple(
        InventoryDevice(name, "parking_spot", "x", "a", 600, 1500) for name in ("bay-1", "bay-2")
    )
    inventory = Inventory("gw-1", "pasar", 60, devices)
    facts = device_facts(inventory, {}, Heard(status(bus), 0.0), NOW_MS, 1.0)
    assert [fact.fields.get("read_errors") for fact in facts] == [7, None]


def test_a_gateways_heat_is_within_what_can_be_and_absent_where_it_isnt_told():
    assert "temperature_c" not in Rates().hear(status(), 0.0, 0.0)
    assert Rates().hear(status(temperature_c=61.0), 0.0, 0.0)["temperature_c"] == 61.0
    assert Rates().hear(status(temperature_c=1e300), 0.0, 0.0)["temperature_c"] == 200.0
