"""The agent with its own page open on a phone: memory, CPU, and how soon the page is there.

One agent without a page and one with it, each with a ranger on a pty and a broker that confirms.
The phone logs in, asks for what is live every two seconds, as the page's script does, and walks
through every page; then it calibrates the bin and scans its port, which loads every driver and
leaves it in memory: the most that a technician's visit costs. Memory is resident (with what is
shared), from /proc. The peer is the agent without its page, so a ratio below 1 is what it costs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from bench import peers
from bench.cloud import Cloud
from bench.environment import environment
from bench.processes import used
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import LOOK_S, DidNotWork, Running, gampong
from tests.edge.page.rig import Phone, Ranger, Site
from tests.servers import Mosquitto

EVERY_S = 2.0
WITHIN_S = 60.0
PAGES = ("/", "/device?name=bin-01", "/scan", "/sheet", "/work", "/page.css", "/page.js")
RUNS = 3
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())
ALONE = "the agent without its page"


class Visit:
    """What one agent used, in MB and seconds."""

    def __init__(self) -> None:
        self.there_s = 0.0
        self.idle_mb = self.open_mb = self.worked_mb = self.cpu_share = 0.0


def visit(folder: Path, seconds: float, with_page: bool) -> Visit:
    """One agent's start, and a technician's visit to it where it has a page."""
    found = Visit()
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "cloud"))
        cloud = stack.enter_context(Cloud("127.0.0.1", broker.port))
        ranger = stack.enter_context(Ranger(folder / "ttyBIN"))
        site = Site(folder, broker.port, ranger.path)
        if not with_page:
            text = site.file.read_text().replace('host = "127.0.0.1"', 'host = ""')
            site.file.write_text(text)
        began = time.monotonic()
        agent = Running("agent", folder, gampong("edge", "run", str(site.file)))
        stack.enter_context(agent)
        phone = Phone(site.port)
        if with_page:
            _until(agent, lambda: _answers(phone))
            found.there_s = time.monotonic() - began
        cloud.wait_stored(1, WITHIN_S)
        agent.runs_for(seconds)
        before = used(agent.pid)
        found.idle_mb = _mb(agent)
        if with_page:
            _look(phone, agent, seconds)
        else:
            agent.runs_for(seconds)
        after = used(agent.pid)
        found.open_mb = _mb(agent)
        found.cpu_share = (after.cpu_s - before.cpu_s) / seconds
        if with_page:
            _work(phone, agent, ranger)
            found.worked_mb = _mb(agent)
    return found


def _answers(phone: Phone) -> bool:
    with suppress(OSError):
        return phone.get("/")[0] == 200
    return False


def _look(phone: Phone, agent: Running, seconds: float) -> None:
    phone.enter()
    ends, tag = time.monotonic() + seconds, ""
    for page in PAGES:
        phone.get(page)
    while time.monotonic() < ends:
        phone.get("/live/status", **({"If-None-Match": tag} if tag else {}))
        tag = phone.headers.get("etag", "")
        agent.runs_for(EVERY_S)


def _work(phone: Phone, agent: Running, ranger: Ranger) -> None:
    phone.get("/device?name=bin-01")
    phone.post("/calibrate", device="bin-01", target="empty")
    _until(agent, lambda: "Good, written" in phone.get("/live/work")[1])
    phone.post("/scan", port=str(ranger.path), addresses="quick")
    _until(agent, lambda: "Found" in phone.get("/live/work")[1])
    phone.get("/")


def _until(agent: Running, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if not agent.runs_for(LOOK_S) or time.monotonic() > deadline:
            raise DidNotWork(f"the page didn't come so far:\n{agent.tail()}")


def _mb(agent: Running) -> float:
    return used(agent.pid).resident_bytes / 1e6


def main() -> int:
    arguments = options(str(__doc__).splitlines()[0], 60).parse_args()
    each_s = max(4.0, arguments.seconds / (4 * RUNS) - 6)
    alone: list[Visit] = []
    shown: list[Visit] = []
    for with_page, visits in [(False, alone), (True, shown)] * RUNS:
        with tempfile.TemporaryDirectory(prefix="gampong-page-") as folder:
            visits.append(visit(Path(folder), each_s, with_page))
    beside = Figure.of(one.open_mb for one in alone)
    result = Result("agent_page", METHOD)
    for what, values, target in (
        ("resident, the page switched on and nobody there", [one.idle_mb for one in shown], None),
        ("resident, the page open on a phone", [one.open_mb for one in shown], AtMost(60)),
        (
            "resident, after a calibration and a scan",
            [one.worked_mb for one in shown],
            AtMost(60),
        ),
    ):
        result.rows.append(
            Row(
                what=what,
                unit="MB",
                ours=Figure.of(values),
                peer=ALONE,
                theirs=beside,
                target=target,
            )
        )
    result.rows.append(
        Row(
            what="of a core, the page open on a phone",
            unit="%",
            ours=Figure.of(100 * one.cpu_share for one in shown),
            peer=ALONE,
            theirs=Figure.of(100 * one.cpu_share for one in alone),
        )
    )
    result.rows.append(
        Row(
            what="from the launch to the PIN page",
            unit="s",
            ours=Figure.of(one.there_s for one in shown),
            target=AtMost(2),
        )
    )
    publish(result, environment(mosquitto=peers.mosquitto_version()), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
