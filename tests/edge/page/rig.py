"""A gateway with its page, as a technician meets it: an agent process, a bin's ranger on a pty, a
phone that speaks HTTP."""

from __future__ import annotations

import http.client
import os
import re
import threading
import tomllib
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from devices.dfrobot_a02yyuw import encode
from devices.reading import Values
from edge.page.pin import write
from tests.processes import Gampong
from tests.servers import free_port

PIN = "902714"
FRAME_S = 0.02
GATEWAY = """# Pasar Mahirah
[gateway]
name = "a-01"
site = "pasar-mahirah"
label = "Pasar Al Mahirah"

[broker]
port = {broker}

[outbox]
path = "{folder}/outbox.db"
seal_interval_s = 1
ballast_bytes = 0

[uplink]
confirm_timeout_s = 2
nobody_listens_probe_s = 0.2
status_interval_s = 1

[time]
trust = "system"

[page]
host = "127.0.0.1"
port = {port}
pin_file = "{folder}/page.pin"

[[link]]
type = "uart"
name = "u"
port = "{serial}"

[[device]]
name = "bin-01"
driver = "dfrobot_a02yyuw"
link = "u"
poll_interval_s = 0.2
heartbeat_s = 600
container = {{ empty_mm = 1000, full_mm = 200 }}   # from the drawing
label = "Bak sampah pintu utara"
"""


class Ranger:
    """An A02YYUW that says `distance_mm`, fifty times a second; can be pulled out and put back."""

    def __init__(self, path: Path) -> None:
        self.path, self.distance_mm = path, 940.0
        self.is_silent = False
        self._lock = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def plug(self) -> None:
        """Put the adapter in."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        with self._lock:
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(os.ttyname(theirs))
            self._ends = ours, theirs

    def unplug(self) -> None:
        """Pull it out: whoever has it open reads an end."""
        with self._lock:
            ends, self._ends = self._ends, None
            self.path.unlink(missing_ok=True)
            for end in ends or ():
                os.close(end)

    def _run(self) -> None:
        while not self._stop.wait(FRAME_S):
            frame = encode(Values({"distance_mm": self.distance_mm})).data
            with self._lock, suppress(OSError):
                if self._ends and not self.is_silent:
                    os.write(self._ends[0], frame)

    def __enter__(self) -> Self:
        self.plug()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.unplug()


class Site:
    """A gateway's folder, and its agent as a process."""

    def __init__(self, folder: Path, broker: int, serial: Path, further: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self.file = folder / "gateway.toml"
        text = GATEWAY.format(folder=folder, broker=broker, port=self.port, serial=serial)
        self.file.write_text(text + further)
        write(folder / "page.pin", PIN)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def agent(self, *words: str) -> Gampong:
        return Gampong("agent", self.folder, "edge", "run", str(self.file), *words)

    def device(self) -> dict[str, Any]:
        """The first device's table."""
        device: dict[str, Any] = tomllib.loads(self.file.read_text())["device"][0]
        return device


class Phone:
    """A browser's manners without a browser: cookies, redirects, the token of the last form."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.token = ""

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return self.ask("GET", path, "", headers)

    def post(self, path: str, /, **form: str) -> tuple[int, str]:
        """A form of our own page; redirects are followed."""
        form = {"token": self.token, **form}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://127.0.0.1:{self.port}",
        }
        return self.ask("POST", path, urlencode(form), headers)

    def ask(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        said = {"Accept-Language": "en", **(headers or {})}
        if self.cookies:
            said["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body or None, said)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if found := re.search(r'name="token" value="([0-9a-f]{64})"', text):
            self.token = found[1]
        if answer.status == http.client.SEE_OTHER:
            return self.get(self.headers["location"].partition("#")[0])
        return answer.status, text

    def enter(self, pin: str = PIN) -> tuple[int, str]:
        return self.post("/pin", pin=pin)
