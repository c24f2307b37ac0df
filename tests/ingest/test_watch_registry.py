"""A device belongs to one gateway, a move is dated, and nobody takes one by announcing it."""

from __future__ import annotations

import msgspec

from ingest.registry import Owner, Registry, RegistryFile, owner_at
from wire.messages import Inventory, InventoryDevice


def inventory(gateway: str, *devices: str, site: str = "pasar") -> Inventory:
    return Inventory(
        gateway,
        site,
        60,
        tuple(InventoryDevice(d, "parking_spot", "x", "a", 600, 1560) for d in devices),
    )


def named(registry: Registry) -> dict[str, list[str]]:
    return {g: [d.name for d in i.devices] for g, i in registry.counted_once().items()}


def test_the_first_to_announce_a_device_owns_it_for_all_time() -> None:
    registry = Registry()
    assert registry.announce(inventory("a", "bay-1"), 5000) == ""
    assert owner_at(registry.file.owners["bay-1"], 1) == "a"
    assert registry.changed


def test_another_gateways_claim_waits_for_an_operator_and_is_dated_to_the_first_one() -> None:
    registry = Registry()
    registry.announce(inventory("a", "bay-1"), 1000)
    registry.announce(inventory("b", "bay-1"), 2000)
    registry.announce(inventory("b", "bay-1", "bay-2"), 3000)
    assert owner_at(registry.file.owners["bay-1"], 9999) == "a"
    assert [(c.device, c.gateway, c.since_ms) for c in registry.file.claims] == [
        ("bay-1", "b", 2000)
    ]
    assert registry.accept("bay-1", "b")
    assert owner_at(registry.file.owners["bay-1"], 1999) == "a"
    assert owner_at(registry.file.owners["bay-1"], 2000) == "b"
    assert not registry.accept("bay-1", "b")


def test_accepting_one_claim_leaves_the_others_to_be_judged() -> None:
    registry = Registry()
    for moment, gateway in enumerate("abc"):
        registry.announce(inventory(gateway, "bay-1"), 1000 * moment)
    assert registry.accept("bay-1", "c")
    assert [(c.gateway, c.since_ms) for c in registry.file.claims] == [("b", 1000)]


def test_the_same_inventory_again_changes_nothing() -> None:
    registry = Registry()
    registry.announce(inventory("a", "bay-1"), 1000)
    registry.changed = False
    registry.announce(inventory("a", "bay-1"), 2000)
    assert not registry.changed


def test_a_hostile_inventory_is_refused_whole() -> None:
    registry = Registry()
    for bad in (
        inventory("a", "<script>"),
        inventory("a", "bay-1", site="Ä"),
        inventory("a", *(f"bay-{i}" for i in range(2001))),
    ):
        assert registry.announce(bad, 0)
    assert registry.file.owners == {}


def test_the_registry_survives_a_restart() -> None:
    registry = Registry()
    registry.announce(inventory("a", "bay-1"), 1000)
    registry.announce(inventory("b", "bay-1"), 2000)
    again = msgspec.json.decode(msgspec.json.encode(registry.file), type=RegistryFile)
    assert again == registry.file
    assert again.owners["bay-1"] == [Owner("a", 0)]


def test_a_device_that_two_gateways_name_counts_once_while_its_owner_names_it() -> None:
    registry = Registry()
    registry.announce(inventory("a", "bay-1", "bay-2"), 1000)
    registry.announce(inventory("b", "bay-1"), 2000)

    assert named(registry) == {"a": ["bay-1", "bay-2"], "b": []}
    registry.accept("bay-1", "b")
    assert named(registry) == {"a": ["bay-2"], "b": ["bay-1"]}
    registry.announce(inventory("b"), 3000)
    assert named(registry) == {"a": ["bay-1", "bay-2"], "b": []}


def test_a_retired_gateway_counts_no_more_and_its_devices_are_whose_gateway_names_them_next() -> (
    None
):
    registry = Registry()
    registry.announce(inventory("a", "bay-1", "bay-2"), 1000)
    registry.announce(inventory("b", "bay-1"), 2000)
    registry.announce(inventory("c", "bay-1"), 2500)
    assert registry.retire("a", 3000)
    assert named(registry) == {"b": ["bay-1"], "c": []}
    assert owner_at(registry.file.owners["bay-1"], 2000) == "b"  # who had announced it first
    registry.announce(inventory("c", "bay-2"), 4000)
    assert owner_at(registry.file.owners["bay-2"], 2999) == "a"
    assert owner_at(registry.file.owners["bay-2"], 3000) == "c"
    assert not registry.retire("a", 5000)
    assert not registry.retire("nobody", 5000)


def test_a_retired_gateway_comes_back_with_what_it_announced_last_and_takes_nothing() -> None:
    registry = Registry()
    registry.announce(inventory("a", "bay-1", "bay-2"), 1000)
    registry.retire("a", 2000)
    registry.announce(inventory("b", "bay-1"), 3000)
    assert registry.announce(inventory("a", "bay-1", "bay-3"), 4000) == ""
    assert named(registry) == {"b": ["bay-1"]}
    again = Registry(msgspec.json.decode(msgspec.json.encode(registry.file), type=RegistryFile))
    assert again.bring_back("a", 5000)
    assert named(again) == {"a": ["bay-3"], "b": ["bay-1"]}
    assert [(claim.device, claim.gateway) for claim in again.file.claims] == [("bay-1", "a")]
    assert not again.bring_back("a", 6000)
