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

DEVICES = st.sampled_from(["bay-1", "bay-2", "bay-3"])
GATEWAYS = st.sampled_from(["gw-a", "gw-b"])
OWNERS = st.lists(st.builds(Owner, GATEWAYS, st.integers(0, 9)), max_size=3)


@given(
    st.lists(st.dictionaries(DEVICES, OWNERS), min_size=1, max_size=3),
    st.lists(st.tuples(GATEWAYS, DEVICES)),
    st.integers(0, 9),
)
def test_a_place_that_is_sure_was_never_another_gateways_whatever_the_watch_says_next(
    registries, said, time_ms
):
    ownership = Ownership(Door(Broker(), None, None), SystemClock(), Counters())
    for registry in registries:
        ownership.take(msgspec.json.encode(registry))
        for gateway, device in said:
            if ownership.owner_of(device, time_ms) in (None, gateway):
                assert ownership.newcomers.admits(gateway, f"{device},site=s,zone=z", time_ms)
        for device in ("bay-1", "bay-2", "bay-3"):
            held = registry.get(device)
            owner = ownership.owner_of(device, time_ms)
            assert owner == (owner_at(held, time_ms) if held else None)
            for gateway in ("gw-a", "gw-b"):
                if ownership.newcomers.are_sure(gateway, [f"{device},site=s,zone=z"]):
                    assert all(
                        ownership.owner_of(device, ms) in (None, gateway) for ms in range(12)
                    )
    assert not ownership.newcomers.are_sure("gw-a", ["never-said,site=s,zone=z"])
