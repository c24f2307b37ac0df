"""What `gampong outbox export` writes goes into a real InfluxDB as the points the cloud wrote."""

from __future__ import annotations

import pytest

from gampong.cli import main

pytestmark = pytest.mark.live


def test_an_export_is_imported_whole_and_twice_changes_nothing(rig, influxd, capsys):
    for _ in range(5):
        rig.seal(20)
    rig.confirm(rig.outbox.waiting(0, 1)[0])
    rig.flush()
    output = rig.path.parent / "lines.lp"
    words = ["--gateway", "mahirah-01", "--confirmed", "--output", str(output)]
    assert main(["outbox", "export", str(rig.path), *words]) == 0
    assert capsys.readouterr().err == "100 lines\n"
    for _ in range(2):
        influxd.write(output.read_text())
        rows = influxd.query("SELECT occupied FROM parking_spot WHERE gateway =~ /./ GROUP BY *")
        assert len(rows) == 100
    assert {(row["gateway"], row["site"], row["zone"]) for row in rows} == {
        ("mahirah-01", "pasar", "a")
    }
    assert {row["time"] for row in rows} == {
        int(line.rpartition(" ")[2]) for line in output.read_text().splitlines()
    }
