"""The page of a running agent: a real process, a real broker, a sensor on a pty."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import msgspec
import pytest

from edge.page.entry import TRIES
from edge.page.pin import Pin, write
from edge.site_log import What, read_log
from tests.edge.page.rig import PIN, Phone, Ranger, Site
from tests.edge.uplink.far_side import FarSide, confirm, ignore, until
from tests.processes import Gampong
from tests.servers import Mosquitto
from wire.clock import SystemClock

WAIT_S = 30.0


@pytest.fixture
def ranger(tmp_path) -> Iterator[Ranger]:
    with Ranger(tmp_path / "ttyBIN") as running:
        yield running


@pytest.fixture
def broker(tmp_path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def site(tmp_path, broker, ranger) -> Site:
    return Site(tmp_path, broker.port, ranger.path)


@pytest.fixture
def agent(site) -> Iterator[Gampong]:
    with site.agent() as running:
        running.said("event=page ")
        running.said("event=started")
        yield running


@pytest.fixture
def phone(site, agent) -> Phone:
    phone = Phone(site.port)
    status, _ = phone.enter()
    assert status == 200
    return phone


def wait(condition: Callable[[], object], within_s: float = WAIT_S) -> None:
    asyncio.run(until(condition, within_s))


def shows(phone: Phone, path: str, text: str) -> Callable[[], bool]:
    return lambda: text in phone.get(path)[1]


def test_a_stranger_sees_the_pin_page_and_nothing_of_the_gateway(site, agent):
    stranger = Phone(site.port)
    for path in ("/", "/device?name=bin-01", "/scan", "/sheet", "/work", "/live/status", "/nope"):
        status, text = stranger.get(path)
        assert status == (200 if path == "/" else 401)
        assert "bin-01" not in text
        assert "ahirah" not in text
        assert "Log in" in text or path.startswith("/live")
    for path in ("/calibrate", "/scan", "/follow", "/commission", "/again", "/stop"):
        assert "Log in" in stranger.post(path, device="bin-01")[1]
    assert agent.runs_for(0.1)


def test_wrong_pins_lock_that_phone_out_and_leave_who_is_in_alone(site, phone):
    stranger = Phone(site.port)
    for _ in range(TRIES - 1):
        assert stranger.enter("111222")[0] == 403
    status, text = stranger.enter("111222")
    assert status == 429
    assert "Too many wrong PINs" in text
    assert stranger.enter(PIN)[0] == 429  # the right one doesn't help now
    assert phone.get("/sheet")[0] == 200
    said = [entry.text for entry in read_log(site.folder) if entry.what is What.PAGE]
    assert "locked out: 127.0.0.1" in said


def test_another_pin_counts_at_once_and_ends_every_session(site, phone):
    write(site.folder / "page.pin", "314159")
    assert phone.get("/sheet")[0] == 401
    assert phone.enter(PIN)[0] == 403
    assert phone.enter("314159")[0] == 200


def test_a_pins_file_that_becomes_open_to_others_is_not_read_again(site, phone, agent):
    file = site.folder / "page.pin"
    write(file, "314159")
    assert phone.enter("314159")[0] == 200
    file.chmod(0o644)
    file.write_bytes(msgspec.json.encode(Pin.of("222333")))  # by whoever may write there
    assert phone.get("/sheet")[0] == 200
    other = Phone(site.port)
    assert other.enter("222333")[0] == 403
    assert other.enter("314159")[0] == 200
    assert "event=secret_not_read_again" in agent.log.read_text()


def test_a_missing_pin_lets_nobody_in_and_says_what_to_do(site, phone):
    (site.folder / "page.pin").unlink()
    status, text = phone.get("/")
    assert status == 200
    assert "gampong edge pin" in text
    assert phone.enter("")[0] == 403


def test_another_pages_form_another_name_and_a_form_without_its_token_are_refused(site, phone):
    form = f"token={phone.token}&device=bin-01"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    own = f"http://127.0.0.1:{site.port}"
    for origin in ("http://evil.example", "null"):
        assert phone.ask("POST", "/follow", form, {**kind, "Origin": origin})[0] == 403
    assert phone.ask("POST", "/follow", form, kind)[0] == 403
    for body in ("device=bin-01", "token=&device=bin-01", f"token={'0' * 64}&device=bin-01"):
        assert phone.ask("POST", "/follow", body, {**kind, "Origin": own})[0] == 403
    for host in ("evil.example", "10.0.0.7", ""):
        assert phone.get("/", Host=host)[0] in (400, 421)
    assert phone.get("/", Host=f"gampong.local:{site.port}")[0] == 200
    assert phone.ask("POST", "/follow", form, {**kind, "Origin": own})[0] == 200


def test_the_cookie_is_for_this_page_alone(site, phone):
    connection_headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection_headers["Origin"] = f"http://127.0.0.1:{site.port}"
    raw = socket.create_connection(("127.0.0.1", site.port))
    body = f"pin={PIN}".encode()
    head = f"POST /pin HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in connection_headers.items()
    )
    with raw:
        raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b"".join(iter(lambda: raw.recv(4096), b"")).decode()
    assert "HttpOnly; SameSite=Strict" in answer
    assert "gampong_page=" in answer


def test_readings_are_shown_live_and_only_what_changed_is_sent_again(phone, ranger):
    wait(shows(phone, "/live/status", "8 %"))  # 940 of 1000..200 mm
    ranger.distance_mm = 600.0
    wait(shows(phone, "/live/status", "50 %"))
    wait(shows(phone, "/live/device?name=bin-01", "600"))
    ranger.distance_mm = 200.0
    wait(shows(phone, "/live/status", "100 %"))

    def quiet() -> bool:
        phone.get("/live/work")
        tag = phone.headers["etag"]
        return bool(phone.get("/live/work", **{"If-None-Match": tag}) == (304, ""))

    assert quiet()
    assert int(phone.headers["x-gateway-time"]) > 1_700_000_000_000


def test_a_bin_is_calibrated_from_the_phone_and_the_agent_takes_it_up(site, ranger):
    before = site.file.read_text()
    now_ms = SystemClock().now_ms()
    with site.agent("--city-time", f"{now_ms}:{now_ms}:5") as agent:  # a burst takes 2 s, not 10
        agent.said("event=started")
        phone = Phone(site.port)
        phone.enter()
        wait(shows(phone, "/live/device?name=bin-01", "filling_level"))
        ranger.distance_mm = 950.0
        phone.get("/device?name=bin-01")
        status, _ = phone.post("/calibrate", device="bin-01", target="empty")
        assert status == 200
        assert "still running" in phone.post("/calibrate", device="bin-01", target="empty")[1]
        wait(shows(phone, "/live/work", "Good, written"))
        assert site.file.read_text() == before.replace("1000", "950")  # comments and all
        wait(lambda: "paused" not in phone.get("/live/status")[1])
        assert "Begin anew now" in phone.get("/")[1]
        phone.post("/again")
        # The same distance, still logged in; the filter's window has readings from before.
        wait(lambda: re.search(">[01] %<", phone.get("/live/status")[1]))
        assert "Begin anew now" not in phone.get("/")[1]
    said = [entry for entry in read_log(site.folder) if entry.what is What.CALIBRATED]
    assert [entry.device for entry in said] == ["bin-01"]
    assert "good" in said[0].text


def test_an_adapter_pulled_out_during_calibration_changes_nothing_and_the_link_goes_on(
    site, phone, ranger
):
    before = site.file.read_text()
    wait(shows(phone, "/live/device?name=bin-01", "filling_level"))
    phone.post("/calibrate", device="bin-01", target="empty")
    wait(shows(phone, "/live/work", " of 40"))
    ranger.unplug()
    wait(shows(phone, "/live/work", "Nothing is changed"))
    assert site.file.read_text() == before
    wait(shows(phone, "/live/status", "is the adapter plugged in?"))
    ranger.distance_mm = 333.0
    ranger.plug()
    wait(shows(phone, "/live/device?name=bin-01", "333"))


def test_a_scan_borrows_the_port_and_gives_it_back_and_no_form_names_another(phone, ranger):
    wait(shows(phone, "/live/device?name=bin-01", "filling_level"))
    text = phone.get("/scan")[1]
    assert str(ranger.path) in text
    assert "used by link u" in text
    assert phone.post("/scan", port="/etc/passwd", addresses="quick")[0] == 409
    assert phone.post("/scan", port="socket://10.0.0.1:80", addresses="quick")[0] == 409
    ranger.is_silent = True
    phone.post("/scan", port=str(ranger.path), addresses="all")
    wait(shows(phone, "/live/status", "paused: scanning"))
    phone.post("/stop")
    wait(shows(phone, "/live/work", "Stopped"))
    wait(lambda: "paused" not in phone.get("/live/status")[1])
    ranger.is_silent = False
    phone.post("/scan", port=str(ranger.path), addresses="quick")
    wait(shows(phone, "/live/work", "dfrobot_a02yyuw"))
    assert "Added: –" in phone.post("/scan/write")[1]  # it is there already
    ranger.distance_mm = 444.0
    wait(shows(phone, "/live/device?name=bin-01", "444"))


def test_a_device_is_commissioned_and_its_own_point_is_confirmed(site, phone, broker, ranger):
    with FarSide(broker) as cloud:
        wait(shows(phone, "/live/status", "connected"))
        assert phone.post("/commission", device="bin-01", verdict="pass")[0] == 409
        phone.post("/follow", device="bin-01")  # by a heartbeat of ten minutes nothing would come
        wait(shows(phone, "/live/way?name=bin-01", "Stored in the city"))
        text = phone.get("/live/way?name=bin-01")[1]
        assert "ff03ac" in text.replace(" ", "")  # 940 mm, as it left the ranger
        assert "waste_container,device=bin-01,gateway=a-01,site=pasar-mahirah" in text
        assert "from the cable to the confirmation" in text
        assert (
            phone.post("/commission", device="bin-01", verdict="pass", place="somewhere", note="")[
                0
            ]
            == 409
        )
        phone.post(
            "/commission",
            device="bin-01",
            verdict="pass",
            place="5.5703, 95.3291",
            note="<b>ok</b>",
        )
        text = phone.get("/sheet")[1]
        for said in ("PASS", "1 passed", "5.5703, 95.3291", "&lt;b&gt;ok", "Stored in the city"):
            assert said in text
        wait(lambda: cloud.inventories[-1].devices[0].commissioned)
        (device,) = cloud.inventories[-1].devices
        assert device.commissioned
        assert device.commissioned.passed
        assert device.commissioned.round_trip_ms
        assert device.place
        assert device.place.latitude == 5.5703
        stored = [line for batch in cloud.keyed for line in batch.lines]
        point = json.loads((site.folder / "commissioning.json").read_text())["entries"][0]["point"]
        assert point.replace(",gateway=a-01", "") in stored
    assert [e.text for e in read_log(site.folder) if e.what is What.COMMISSIONED]


def test_without_the_cloud_an_entry_says_kept_and_learns_of_its_confirmation_after_a_new_start(
    site, broker, ranger
):
    with FarSide(broker, ignore) as cloud:
        with site.agent() as agent:
            agent.said("event=page ")
            agent.said("event=started")
            phone = Phone(site.port)
            phone.enter()
            phone.post("/follow", device="bin-01")
            wait(shows(phone, "/live/way?name=bin-01", "Kept on the gateway, will be sent"))
            phone.post("/commission", device="bin-01", verdict="pass", place="", note="")
            assert "Kept on the gateway, will be sent" in phone.get("/sheet")[1]
            agent.stop()
        cloud.answer = confirm
        with site.agent() as agent:
            wait(lambda: agent.log.read_text().count("event=started ") == 2)  # of two processes
            phone = Phone(site.port)
            phone.enter()
            wait(shows(phone, "/sheet", "Stored in the city"))


def test_connections_that_say_nothing_are_few_and_end_and_the_agent_reads_on(site, phone, ranger):
    silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(40)]
    try:
        ended = 0
        deadline = time.monotonic() + WAIT_S
        for one in silent:
            one.settimeout(max(0.1, deadline - time.monotonic()))
            ended += one.recv(64) == b""
        assert ended == len(silent)
    finally:
        for one in silent:
            one.close()
    ranger.distance_mm = 555.0
    wait(shows(phone, "/live/device?name=bin-01", "555"))


def test_no_request_of_a_session_is_a_fault_of_the_page(phone, agent, seed):
    draw = random.Random(seed)
    shown = ["/", "/device", "/scan", "/work", "/sheet", "/live/status", "/live/device",
             "/live/way", "/live/work", "/language", "/nope"]  # fmt: skip
    done = ["/calibrate", "/scan", "/scan/write", "/stop", "/follow", "/commission", "/nope"]
    names = ["device", "name", "target", "height", "anyway", "port", "addresses", "verdict",
             "place", "note", "to"]  # fmt: skip
    values = ["bin-01", "", "empty", "full", "free", "-1", "1e400", "nan", "../../etc/passwd",
              "<b>", "5.57, 95.32", "{x}", "%s", "\0", "\r\nX: y", "é" * 90, "pass"]  # fmt: skip
    for _ in range(200):
        fields = {draw.choice(names): draw.choice(values) for _ in range(draw.randint(0, 4))}
        if draw.random() < 0.5:
            code, text = phone.get(f"{draw.choice(shown)}?{urlencode(fields)}")
        else:
            code, text = phone.post(draw.choice(done), **fields)
        assert code in (200, 404, 409), (code, fields)
        assert "<b></" not in text
        phone.post("/stop")
    assert "event=page_fault" not in agent.log.read_text()


def test_an_agent_without_a_page_imports_nothing_of_it(tmp_path, broker, ranger):
    site = Site(tmp_path, broker.port, ranger.path)
    site.file.write_text(site.file.read_text().replace('host = "127.0.0.1"', 'host = ""'))
    names = "import sys, gampong.cli; sys.argv = ['gampong', 'edge', 'run', sys.argv[1]];"
    names += "code = gampong.cli.main(); print([m for m in sys.modules if 'edge.page' in m]"
    names += " + [m for m in ('h11', 'tomlkit') if m in sys.modules]); sys.exit(code)"
    with subprocess.Popen(
        [sys.executable, "-c", names, str(site.file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "event=started" in line:
                break
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert out.strip().splitlines()[-1] == "[]"
