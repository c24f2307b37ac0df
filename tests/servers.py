"""Real servers for tests: each a process of its own on 127.0.0.1, with its files in a folder.

    with Mosquitto(tmp_path) as broker:
        ...connect to broker.host, broker.port...
        broker.kill()      # SIGKILL, as a power cut
        broker.start()     # the same port; an empty store unless persistent=True

A server that can't be had fails the test with the remedy; it never skips it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

START_S = 30.0
STOP_S = 10.0
POLL_S = 0.02
HTTP_S = 10.0
LOG_TAIL_BYTES = 4000
RELOADS = b"Reloading config."


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server process: started, killed, started again on the same port and folder."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it serves, asked again and again after the start."""
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def pid(self) -> int:
        assert self._process, "not running"
        return self._process.pid

    def start(self) -> None:
        assert self._process is None, "already running"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Out of the terminal's group: Ctrl-C reaches the test first, which stops us.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self.ready():
            # Waiting on the process is also how a server that died at once is seen at once.
            if self._ended(POLL_S) or time.monotonic() > deadline:
                log_tail = self.log_tail()
                self.kill()
                pytest.fail(f"{self.command()[0]} did not start on port {self.port}:\n{log_tail}")

    def stop(self) -> None:
        """Ask it to end, as a service manager does."""
        if self._process:
            self._process.terminate()
            if self._ended(STOP_S):
                self._process = None
            else:
                self.kill()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it still holds its connections, and says nothing on them."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL_BYTES:]

    def _ended(self, within_s: float) -> bool:
        assert self._process
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is not None:
            # pytest shows it under "Captured stdout".
            print(f"--- end of {self.log}\n{self.log_tail()}")


class Mosquitto(Server):
    """mosquitto on a plain listener.

    Args:
        folder: where its configuration, log and store go.
        port: 0 picks a free one; it stays the same over restarts.
        config: further lines of mosquitto.conf. One that names a `listener` replaces ours, and
            has to use `{port}`; one that says `allow_anonymous` replaces that line.
        persistent: keep sessions and retained messages on disk, committed every second.
    """

    def __init__(
        self, folder: Path, port: int = 0, config: str = "", persistent: bool = False
    ) -> None:
        super().__init__(folder, port)
        self.program = find("mosquitto", "apt-get install --no-install-recommends mosquitto")
        extra = config.replace("{port}", str(self.port))
        # The global part has to come first: mosquitto reads what follows a listener as its own.
        lines = ["per_listener_settings false", "log_type all", "log_timestamp_format %H:%M:%S"]
        if os.geteuid() == 0:
            # The folder is ours alone; mosquitto would drop to a user who can't read it.
            lines.append("user root")
        if persistent:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        if "allow_anonymous" not in extra:
            lines.append("allow_anonymous true")
        if "max_packet_size" not in extra:  # 2.0: none, 2.1: 2,000,000
            lines.append("max_packet_size 20000000")
        if "listener " not in extra:
            lines.append(f"listener {self.port} {self.host}")
        (folder / "mosquitto.conf").write_text("\n".join([*lines, extra, ""]))

    def command(self) -> list[str]:
        return [self.program, "-c", str(self.folder / "mosquitto.conf")]

    def reload(self) -> None:
        """SIGHUP: its certificates and lists are those of the files once this returns.

        It takes the signal at its next turn, and whom it accepts before meets the old ones. It
        says so, and reads the files, before it accepts anybody else.
        """
        said = self.log.read_bytes().count(RELOADS)
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + START_S
        while self.log.read_bytes().count(RELOADS) == said:
            if self._ended(POLL_S) or time.monotonic() > deadline:
                pytest.fail(f"mosquitto did not take SIGHUP:\n{self.log_tail()}")


class Influxd(Server):
    """InfluxDB 2 set up with an organisation, a bucket and a token that may do everything."""

    org = "test"
    bucket = "test"
    token = "test-token"

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self.program = find("influxd", "run deploy/influxd/build.sh (make live does)")
        self.url = f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        return [
            self.program,
            f"--bolt-path={self.folder}/bolt",
            f"--engine-path={self.folder}/engine",
            f"--sqlite-path={self.folder}/sqlite",
            f"--http-bind-address={self.host}:{self.port}",
            "--reporting-disabled",
        ]

    def ready(self) -> bool:
        try:
            self.request("GET", "/health")
        except OSError:
            return False
        return True

    def start(self) -> None:
        super().start()
        if json.loads(self.request("GET", "/api/v2/setup"))["allowed"]:
            onboarding = {
                "username": "test",
                "password": "test-password",
                "org": self.org,
                "bucket": self.bucket,
                "token": self.token,
            }
            self.request("POST", "/api/v2/setup", json.dumps(onboarding).encode())

    def request(
        self, method: str, path: str, body: bytes | None = None, query: Mapping[str, str] = {}
    ) -> bytes:
        """One HTTP request with the token; raises `urllib.error.HTTPError` from 400 on."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=HTTP_S) as response:
            answer: bytes = response.read()
            return answer

    def write(self, lines: str, bucket: str = "") -> None:
        """Line protocol with times in milliseconds."""
        query = {"org": self.org, "bucket": bucket or self.bucket, "precision": "ms"}
        self.request("POST", "/api/v2/write", lines.encode(), query)

    def query(self, influxql: str, bucket: str = "") -> list[dict[str, object]]:
        """The rows of an InfluxQL query, as dictionaries with their tags, times in ms."""
        query = {"db": bucket or self.bucket, "q": influxql, "epoch": "ms"}
        answer = json.loads(self.request("GET", "/query", query=query))
        rows = []
        for result in answer["results"]:
            if "error" in result:
                raise ValueError(result["error"])
            for series in result.get("series", ()):
                columns, tags = series["columns"], series.get("tags", {})
                rows += [tags | dict(zip(columns, row, strict=True)) for row in series["values"]]
        return rows


def find(program: str, remedy: str) -> str:
    """The program's path, on PATH, where Debian keeps daemons, or where build.sh puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gampong"
    places = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", str(cache)]
    found = shutil.which(program, path=os.pathsep.join(places))
    if not found:
        pytest.fail(f"{program} is not installed; {remedy}")
    return found
