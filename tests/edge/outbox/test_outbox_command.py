"""`gampong outbox show|export|resend`, beside a running agent and without one."""

from __future__ import annotations

import json
import os
import random
import shutil
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gampong.cli import main
from tests.edge.outbox.rig import START_MS, counts
from wire.line import parse_line


def run(capsys, *words):
    """Exit code, stdout, stderr."""
    code = main(["outbox", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def toml(rig):
    path = rig.path.parent / "gateway.toml"
    path.write_text(
        f'[gateway]\nname = "mahirah-01"\nsite = "pasar"\n[outbox]\npath = "{rig.path}"\n'
    )
    return path


def test_show_works_beside_a_running_agent(rig, capsys):
    for _ in range(5):
        rig.seal(3)
        rig.clock.turn(60)
    rig.confirm(rig.outbox.waiting(0, 1)[0])
    rig.seal()
    code, out, err = run(capsys, "show", rig.path)
    assert (code, err) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert shown["waiting"] == "13 readings in 5 batches"
    assert shown["oldest"].startswith("2026-")
    assert shown["full"].endswith("hours at the latest rate")
    assert shown["balanced"] == "yes"
    assert (shown["accepted"], shown["stored"]) == ("16", "3")


def test_show_as_json_has_every_figure(rig, toml, capsys):
    rig.seal(2)
    code, out, _ = run(capsys, "show", toml, "--json")
    shown = json.loads(out)
    assert code == 0
    assert (shown["waiting_readings"], shown["ledger"]["accepted"]) == (2, 2)
    assert shown["epoch"] == rig.outbox.epoch.hex()
    assert shown["bytes_max"] == rig.settings.bytes_max


def test_show_changes_nothing_when_the_agent_is_away(rig, capsys):
    rig.seal(2)
    rig.outbox.close()
    before = {path.name: path.read_bytes() for path in rig.path.parent.iterdir()}
    assert run(capsys, "show", rig.path)[0] == 0
    assert {path.name: path.read_bytes() for path in rig.path.parent.iterdir()} == before


def test_what_is_not_there_is_said_with_its_path(tmp_path, capsys):
    for words in (["show"], ["export"], ["resend", "--since", "2026-11-01T00:00:00Z"]):
        code, out, err = run(capsys, words[0], tmp_path / "nowhere.db", *words[1:])
        assert (code, out) == (2, "")
        assert f"{tmp_path}/nowhere.db" in err
    assert list(tmp_path.iterdir()) == []
    code, _, err = run(capsys, "show", tmp_path / "nowhere.toml")
    assert (code, "nowhere.toml" in err) == (2, True)


def test_export_writes_what_waits_with_the_gateways_tag(rig, toml, capsys):
    lines = rig.lines(3)
    rig.seal(lines)
    rig.outbox.journal([rig.line()], counts(1))
    code, out, err = run(capsys, "export", toml)
    written = out.splitlines()
    assert (code, err) == (0, "4 lines\n")
    assert written[0] == lines[0].text.replace(",site=", ",gateway=mahirah-01,site=")
    tags = written[0].split(" ")[0].split(",")[1:]
    assert tags == sorted(tags)


def test_export_without_a_gateway_is_the_lines_as_they_are(rig, capsys):
    lines = rig.lines(2)
    rig.seal(lines)
    _, out, _ = run(capsys, "export", rig.path)
    assert out.splitlines() == [line.text for line in lines]
    assert [parse_line(line)[0].device for line in out.splitlines()] == ["bay-000001", "bay-000002"]


def test_without_a_gateway_export_warns_that_these_would_be_other_points(rig, toml, capsys):
    rig.seal(2)
    assert "name it with --gateway" in run(capsys, "export", rig.path)[2]
    assert "--gateway" not in run(capsys, "export", rig.path, "--gateway", "mahirah-01")[2]
    assert "--gateway" not in run(capsys, "export", toml)[2]


def burnt(rig):
    """The card of a gateway that lost its power, with three broken pages; the lines that were on
    it."""
    draw = random.Random(5)
    sealed: set[str] = set()
    for _ in range(60):
        noises = [b64encode(draw.randbytes(300)).decode() for _ in range(5)]
        lines = [rig.line(noise=noise) for noise in noises]
        sealed.update(line.text for line in lines)
        rig.seal(lines)
    rig.restart()
    rig.cut_power()
    data = bytearray(rig.path.read_bytes())
    for page in (1, 20, 21):
        data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    rig.path.write_bytes(data)
    rig.log.unlink()
    return sealed


def test_the_card_of_a_burnt_gateway_is_read_as_far_as_it_goes_and_left_as_it_is(rig, capsys):
    sealed = burnt(rig)
    before = {path.name: path.read_bytes() for path in rig.path.parent.iterdir()}
    code, out, err = run(capsys, "export", rig.path, "--gateway", "mahirah-01")
    lines = out.splitlines()
    assert code == 0
    assert 270 <= len(lines) < 300
    assert {line.replace(",gateway=mahirah-01", "") for line in lines} < sealed
    assert "the file is damaged" in err
    assert f"{len(lines)} lines, {300 - len(lines)} left out (damaged)" in err
    code, out, err = run(capsys, "show", rig.path)
    assert (code, err) == (0, "the file is damaged: this is what can be read of it\n")
    assert f"{len(lines)} readings in {len(lines) // 5} batches" in out
    assert {path.name: path.read_bytes() for path in rig.path.parent.iterdir()} == before
    rig.outbox = rig.open()


@contextmanager
def as_nobody():
    """Without the rights of root, who may write anywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_card_that_is_mounted_read_only_is_read_by_a_copy(rig, capsys):
    """SQLite can't make the index of the log that a power cut left there."""
    rig.seal(3)
    rig.cut_power()
    with TemporaryDirectory(prefix="gampong-card-") as name:
        card = Path(name)
        for file in (rig.path, rig.log):
            shutil.copy(file, card / file.name)
            (card / file.name).chmod(0o444)
        card.chmod(0o555)
        with as_nobody():
            code, out, err = run(capsys, "export", card / rig.path.name, "--gateway", "g")
        card.chmod(0o755)
        assert {path.name for path in card.iterdir()} == {"outbox.db", "outbox.db-wal"}
    assert (code, len(out.splitlines())) == (0, 3)
    assert err == "the card is mounted read-only: a copy of the file was read\n3 lines\n"
    rig.outbox = rig.open()


def test_export_leaves_out_what_is_confirmed_old_or_without_a_time_and_says_so(rig, capsys):
    rig.confirm(rig.seal_one(2))
    rig.seal(1)
    rig.seal([rig.line(time_ms=5000)])
    assert run(capsys, "export", rig.path, "--gateway", "g")[2] == "1 lines, 1 left out (no_time)\n"
    assert run(capsys, "export", rig.path, "--confirmed", "--gateway", "g")[2].startswith("3 lines")
    output = rig.path.parent / "lines.txt"
    since = "2026-09-21T14:13:22+00:00"
    run(capsys, "export", rig.path, "--confirmed", "--since", since, "--output", output)
    assert [int(line.split()[-1]) for line in output.read_text().splitlines()] == [START_MS + 2000]


def test_export_leaves_out_a_payload_that_the_card_changed(rig, capsys):
    rig.seal(4)
    rig.seal(1)
    rig.outbox._connection.execute("UPDATE payloads SET payload = x'00' WHERE sequence = 1")
    assert run(capsys, "export", rig.path)[2].endswith("1 lines, 4 left out (damaged)\n")


def test_resend_refuses_while_the_agent_runs(rig, capsys):
    code, _, err = run(capsys, "resend", rig.path, "--since", "2026-09-01T00:00:00Z")
    assert code == 2
    assert "in use by another process" in err
    assert "Stop the agent" in err


def test_resend_makes_confirmed_batches_wait_for_the_next_start(rig, toml, capsys):
    rig.confirm(rig.seal_one(2))
    rig.clock.turn(100)
    rig.confirm(rig.seal_one(3))
    rig.outbox.close()
    code, out, _ = run(capsys, "resend", toml, "--since", "2026-09-21T14:14:00+00:00")
    assert (code, out) == (0, "1 batches wait again; start the agent to send them\n")
    rig.outbox = rig.open()
    assert rig.waiting() == [2]
    assert (rig.ledger().stored, rig.ledger().gaps) == (2, 0)


@pytest.mark.parametrize("since", ["yesterday", "2026-09-21T14:14:00"])
def test_a_time_without_its_zone_is_refused(rig, capsys, since):
    with pytest.raises(SystemExit):
        run(capsys, "resend", rig.path, "--since", since)
    assert since in capsys.readouterr().err
