"""The doctor on where the configuration lies, the SIM, and how long confirmations took."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.configuration import EdgeConfiguration, Gateway, OutboxSettings, UplinkSettings
from edge.doctor import Verdict
from edge.doctor.line import look_at_outbox
from edge.doctor.settings import look_at_file, look_at_sim
from edge.month import STATE, Counted
from edge.outbox import Outbox
from edge.records import Line
from wire.clock import SystemClock
from wire.messages import Fate

MB = 1_000_000


def configuration(folder: Path, **uplink: object) -> EdgeConfiguration:
    return EdgeConfiguration(
        gateway=Gateway(name="gateway-1", site="s"),
        outbox=OutboxSettings(path=str(folder / "outbox.db"), ballast_bytes=0),
        uplink=msgspec.structs.replace(UplinkSettings(), **uplink),
    )


def test_a_plain_file_in_the_links_place_is_a_second_truth(tmp_path):
    kept, named = tmp_path / "var" / "gateway.toml", tmp_path / "etc" / "gateway.toml"
    for path in (kept, named):
        path.parent.mkdir()
    kept.write_text("kept")
    named.symlink_to(kept)
    settings = configuration(kept.parent)
    assert look_at_file(named, settings).verdict is Verdict.PASS
    named.unlink()
    named.write_text("sed -i was here")
    found = look_at_file(named, settings)
    assert found.verdict is Verdict.WARN
    assert "Restart the service" in found.remedy


def test_the_sim_is_told_with_its_quota(tmp_path):
    counted = {STATE: msgspec.msgpack.encode(Counted("2026-11-01", 80 * MB, "boot", 1))}
    assert list(look_at_sim(configuration(tmp_path), counted)) == []
    found = list(look_at_sim(configuration(tmp_path, interface="lo", quota_mb=100), counted))
    assert [one.verdict for one in found] == [Verdict.WARN]
    assert found[0].seen == "80.0 MB since 2026-11-01, 80% of 100 MB"
    found = list(look_at_sim(configuration(tmp_path, interface="lo", quota_mb=200), counted))
    assert [one.verdict for one in found] == [Verdict.PASS]
    found = list(look_at_sim(configuration(tmp_path, interface="no-such0"), counted))
    assert [one.verdict for one in found] == [Verdict.WARN, Verdict.PASS]


def test_it_says_how_long_confirmations_took(tmp_path):
    from collections import Counter

    settings = configuration(tmp_path)
    outbox = Outbox.open(settings.outbox, SystemClock(), "machine")
    now_ms = SystemClock().now_ms()
    text = f"waste_container,device=bin,site=s,zone=z distance_mm=1 {now_ms}"
    line = Line(text, "bin", "waste_container", now_ms)
    (sealed,) = outbox.seal([line], {}, Counter({("taken", ""): 1}))
    outbox.confirm(sealed.key.epoch, [Fate(sealed.key.sequence, sealed.key.digest, stored=1)])
    outbox.close()
    found = {str(one.look): one for one in look_at_outbox(settings, now_ms)}
    assert found["confirm time"].verdict is Verdict.PASS
    assert "half of the last 1 batches within 0 s" in found["confirm time"].seen
