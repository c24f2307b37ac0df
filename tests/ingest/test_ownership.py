"""What an ingestor knows of who owns what."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker import Door
from ingest.counters import Counters
from ingest.ownership import Ownership
from ingest.registry import Owner, owner_at
from wire.clock import SystemClock
from wire.configuration import Broker

GATEWAYS = st.sampled_from(["gw-a", "gw-b"])
OWNERS = st.lists(st.builds(Owner, GATEWAYS, st.integers(0, 9)), max_size=3)


@given(st.dictionaries(st.sampled_from(["bay-1", "bay-2", "bay-3"]), OWNERS), st.integers(0, 9))
def test_devices_owned_always_are_owned_at_any_time(registry, time_ms):
    ownership = Ownership(Door(Broker(), None, None), SystemClock(), Counters())
    ownership.take(msgspec.json.encode(registry))
    for device in ("bay-1", "bay-2", "bay-3"):
        held = registry.get(device)
        assert ownership.owner_of(device, time_ms) == (owner_at(held, time_ms) if held else None)
        if ownership.owned_always("gw-a", [device]):
            assert ownership.owner_of(device, time_ms) == "gw-a"
    mine = [device for device, held in registry.items() if [o.gateway for o in held] == ["gw-a"]]
    assert ownership.owned_always("gw-a", mine)
    assert not ownership.owned_always("gw-a", [*mine, "never-announced"])
