"""Installing on a gateway, as far as it can be tried without systemd: the script's own care, what
the process tells systemd, and the word by which an upgrade is judged."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from gampong import service
from tests.servers import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "edge"


def script(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOY / "install.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_script_explains_itself_and_refuses_what_it_does_not_know() -> None:
    assert "--uninstall" in script("--help").stdout
    wrong = script("--prefx", "/opt")
    assert wrong.returncode == 2
    assert "--uninstall" in wrong.stderr


def test_the_service_runs_what_the_script_puts_there_as_nobody_special() -> None:
    unit = (DEPLOY / "gampong-edge.service").read_text()
    assert "ExecStart=@RUN@/bin/gampong edge run /etc/gampong/gateway.toml" in unit
    for line in ("User=gampong", "NoNewPrivileges=yes", "ProtectSystem=strict", "WatchdogSec=60"):
        assert line in unit.splitlines()


def test_a_service_says_that_it_is_ready_and_that_its_loop_turns(
    tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")

        async def main() -> list[bytes]:
            loop = asyncio.get_running_loop()
            service.notify("READY=1")
            service.stay_alive(loop)
            return [await loop.sock_recv(listener, 64) for _ in range(4)]

        assert asyncio.run(main()) == [b"READY=1", *[b"WATCHDOG=1"] * 3]


def test_without_systemd_nothing_is_said_and_nothing_fails(monkeypatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    service.notify("READY=1")
    loop = asyncio.new_event_loop()
    service.stay_alive(loop)
    loop.close()


def test_a_gateway_whose_cloud_is_away_confirms_nothing_and_says_so(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f'[gateway]\nname = "a-01"\nsite = "s"\n[broker]\nport = {free_port()}\n'
        f'[outbox]\npath = "{tmp_path}/outbox.db"\n'
    )
    command = [sys.executable, "-m", "gampong", "edge", "confirmed", str(settings)]
    run = subprocess.run(
        [*command, "--within", "0.2"], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 1
    assert "nothing was confirmed" in run.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["gateway.toml"]  # it only looks


def test_the_configuration_is_kept_where_the_agent_may_write_behind_a_link(tmp_path: Path) -> None:
    unit = (DEPLOY / "gampong-edge.service").read_text()
    (line,) = [one for one in unit.splitlines() if one.startswith("ExecStartPre=+/bin/sh -ec '")]
    etc, var = tmp_path / "etc", tmp_path / "var"
    etc.mkdir()
    var.mkdir()
    words = line.partition("'")[2].removesuffix("'").replace("$$", "$")
    words = words.replace("/etc/gampong", str(etc)).replace("/var/lib/gampong", str(var))
    as_agent = 'runuser -u gampong -- /bin/sh -ec "'
    assert as_agent in words
    as_root = words.replace(words[words.index(as_agent) : words.rindex('"')], "")
    assert as_root.count("$v") == 1  # root writes nothing where the agent may: only where to
    assert "ln -sfn $v " in as_root
    words = words.replace("runuser -u gampong -- ", "")

    def start() -> None:
        subprocess.run(["/bin/sh", "-ec", words], check=True, timeout=10)

    start()  # not enrolled yet: nothing to do
    named, kept = etc / "gateway.toml", var / "gateway.toml"
    assert not named.exists()
    for text in ("enrolled", "an editor put a plain file there"):  # the newest word wins
        named.unlink(missing_ok=True)
        named.write_text(text)
        start()
        start()
        assert named.is_symlink()
        assert kept.read_text() == named.read_text() == text
        assert kept.stat().st_mode & 0o777 == 0o640
    foreign = tmp_path / "shadow"
    foreign.write_text("root's own")
    kept.unlink()
    for planted in (kept, var / "gateway.toml.new"):
        planted.symlink_to(foreign)
    named.unlink()
    named.write_text("enrolled again")
    start()
    assert foreign.read_text() == "root's own"
    assert not kept.is_symlink()
    assert named.read_text() == "enrolled again"
    assert sorted(one.name for one in (*etc.iterdir(), *var.iterdir())) == ["gateway.toml"] * 2
