"""From which text an operator's change begins: what the gateway was last known to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gampong.gateway_config_command import base_of
from ingest.desk import Desk, Kept
from wire.remote import Applied, ConfigurationState, Desired, text_digest

OLD, NEW, OTHER = "old", "new", "changed at the site"
DONE = ConfigurationState.APPLIED


@pytest.mark.parametrize(
    ("kept", "base"),
    [
        (Kept(), ""),
        (Kept(running=OLD, running_ms=1), text_digest(OLD)),
        # asked for and changed within one second: the gateway's word decides
        (
            Kept(Desired(100, NEW), Applied(100, text_digest(NEW), DONE), 101_000, OLD, 100_400),
            text_digest(NEW),
        ),
        (
            Kept(Desired(100, NEW), Applied(99, text_digest(OLD), DONE), 99_000, OLD, 90_000),
            text_digest(OLD),
        ),
        (Kept(Desired(100, NEW), None, 0, OLD, 90_000), text_digest(NEW)),
        (Kept(Desired(100, NEW), None, 0, OLD, 101_000), text_digest(OLD)),
        (
            Kept(Desired(100, NEW), Applied(100, text_digest(OTHER), DONE), 99_000, OLD, 200_000),
            text_digest(OLD),
        ),
    ],
)
def test_a_change_begins_from_what_the_gateway_was_last_known_to_have(
    kept: Kept, base: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "registry.json")
    desk.keep("gw-1", kept)
    assert base_of(desk, "gw-1") == base
