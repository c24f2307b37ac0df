"""Uplinks as any network server could tell of them: one, and all that there could be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from devices.envelope import Uplink

UPLINK = Uplink(
    dev_eui="24e124136b502217",
    f_port=85,
    data=bytes.fromhex("01755c"),
    time_ms=1_790_000_000_123,
    rssi_dbm=-97.0,
    snr_db=0.0,
    spreading_factor=10,
    frame_counter=7,
    gateways_heard=2,
)


def uplinks(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Uplink]:
    """Any uplink; `more` are further fields that this server tells."""
    return st.builds(
        Uplink,
        dev_eui=st.text("0123456789abcdef", min_size=16, max_size=16),
        f_port=st.integers(1, 223),
        data=st.binary(max_size=242),
        time_ms=st.integers(0, 4_102_444_800_000),
        rssi_dbm=st.integers(-140, 0).map(float),
        snr_db=st.integers(-200, 150).map(lambda tenths: tenths / 10),
        spreading_factor=st.integers(5, 12),
        frame_counter=st.integers(0, 2**32 - 1),
        gateways_heard=st.integers(1, 32),
        **more,
    )
