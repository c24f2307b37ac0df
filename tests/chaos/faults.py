"""What can go wrong, with which part, and how it is mended again.

Each kind draws a victim and says how the fault begins and how it ends. A part that a fault holds is
left alone by others until it is over; everything else may happen at the same time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tests.chaos.disk import limit_files
from tests.chaos.line import ChaosLine
from tests.chaos.proxy import Mood
from tests.processes import Gampong
from tests.servers import Server

DOWN_S, FROZEN_S, SPOILT_S = (0.0, 8.0), (1.0, 30.0), (0.5, 25.0)
FULL_S, TURNED_S = (3.0, 25.0), (3.0, 40.0)
HOURS_MAX = 20
"""An agent's clock is off by less than a day: beyond, the cloud rightly refuses what it says."""

HOUR_S = 3600.0
Act = Callable[[], object]


class Fault(NamedTuple):
    """One fault about to happen. `holds` names the parts it wants for itself."""

    kind: str
    victim: str
    detail: str
    seconds: float
    holds: frozenset[str]
    begin: Act
    end: Act


Kind = Callable[[ChaosLine, random.Random], Fault]


class Faults:
    """Draws faults for a line, one after the other, from one seed."""

    def __init__(self, line: ChaosLine, draw: random.Random) -> None:
        self._line, self._draw = line, draw
        self._kinds = list(_kinds(line))
        self.down: set[str] = set()
        """Processes that a fault has killed: nobody is to start them meanwhile."""

    def next(self) -> Fault:
        """Any kind, as often as its weight says."""
        weights = [weight for _, weight in self._kinds]
        (kind,) = self._draw.choices([kind for kind, _ in self._kinds], weights)
        fault = kind(self._line, self._draw)
        if not fault.kind.startswith("kill"):
            return fault

        def begin() -> None:
            self.down.add(fault.victim)
            fault.begin()

        def end() -> None:
            fault.end()
            self.down.discard(fault.victim)

        return fault._replace(begin=begin, end=end)


def _kinds(line: ChaosLine) -> Iterator[tuple[Kind, int]]:
    yield _kill_process, 6
    yield _kill_server, 3
    yield _empty_broker, 2
    yield _restart_site, 1
    yield _freeze, 5
    yield _spoil, 10
    yield _limit_files, 1
    if all(agent.disk.mounted for agent in line.agents):
        yield _fill_disk, 3
    yield _turn_clock, 3
    yield _boot_in_1970, 2


def _kill_process(line: ChaosLine, draw: random.Random) -> Fault:
    process = draw.choice(list(line.processes.values()))
    machine = next((a.machine for a in line.agents if a.process is process), None)
    reboot = machine is not None and draw.random() < 0.5

    def begin() -> None:
        process.kill()
        if machine and reboot:
            machine.boots()

    detail = "with its machine" if reboot else ""
    return _fault("kill -9", process.name, draw.uniform(*DOWN_S), begin, process.start, detail)


def _kill_server(line: ChaosLine, draw: random.Random) -> Fault:
    name, server = draw.choice([("broker", line.cloud), ("influxd", line.database)])
    return _fault("kill -9", name, draw.uniform(*DOWN_S), server.kill, server.start)


def _empty_broker(line: ChaosLine, draw: random.Random) -> Fault:
    def end() -> None:
        (line.cloud.folder / "mosquitto.db").unlink(missing_ok=True)
        line.cloud.start()

    seconds = draw.uniform(*DOWN_S)
    return _fault("kill -9, its store emptied", "broker", seconds, line.cloud.kill, end)


def _restart_site(line: ChaosLine, draw: random.Random) -> Fault:
    """Asked to end: mosquitto keeps what it has acknowledged only then."""
    seconds = draw.uniform(*DOWN_S)
    return _fault("restart", "site broker", seconds, line.site.stop, line.site.start)


def _freeze(line: ChaosLine, draw: random.Random) -> Fault:
    servers: dict[str, Gampong | Server] = {
        "broker": line.cloud,
        "site broker": line.site,
        "influxd": line.database,
    }
    name, victim = draw.choice(list((servers | dict(line.processes)).items()))
    return _fault("SIGSTOP", name, draw.uniform(*FROZEN_S), victim.freeze, victim.thaw)


def _spoil(line: ChaosLine, draw: random.Random) -> Fault:
    route = draw.choice(sorted(line.proxy.ports))
    mood = draw.choice([mood for mood in Mood if mood is not Mood.GOOD])
    begin, end = (partial(line.proxy.become, route, each) for each in (mood, Mood.GOOD))
    return _fault(f"link: {mood}", route, draw.uniform(*SPOILT_S), begin, end)


def _fill_disk(line: ChaosLine, draw: random.Random) -> Fault:
    agent = draw.choice(line.agents)
    holds = f"disk of {agent.name}"
    return _fault("disk full", holds, draw.uniform(*FULL_S), agent.disk.fill, agent.disk.free)


def _limit_files(line: ChaosLine, draw: random.Random) -> Fault:
    agent = draw.choice(line.agents)

    def begin() -> None:
        limit_files(agent.process.pid, limited=True)

    def end() -> None:
        limit_files(agent.process.pid, limited=False)

    return _fault("disk failing (EFBIG)", agent.name, draw.uniform(*FULL_S), begin, end)


def _turn_clock(line: ChaosLine, draw: random.Random) -> Fault:
    """Hours forwards or backwards at once, and at the end back again in the other direction."""
    agent, machine = draw.choice([(a, a.machine) for a in line.agents if a.machine])
    size = draw.choice([(0.0005, 0.02), (0.5, HOURS_MAX)])  # seconds to a minute, or hours
    hours = draw.choice((-1, 1)) * draw.uniform(*size)
    begin = partial(machine.set, hours * HOUR_S, synchronised=True)
    kind = "clock forwards" if hours > 0 else "clock backwards"
    victim, seconds = f"clock of {agent.name}", draw.uniform(*TURNED_S)
    return _fault(kind, victim, seconds, begin, machine.ntp_sets_the_clock, f"{hours:+.2f} h")


def _boot_in_1970(line: ChaosLine, draw: random.Random) -> Fault:
    """A power cut on a machine without a clock. Then NTP comes, or the next power cut."""
    agent, machine = draw.choice([(a, a.machine) for a in line.agents if a.machine])
    learns = draw.random() < 0.5

    def begin() -> None:
        agent.process.kill()
        machine.boots_in_1970()
        agent.process.start()

    def end() -> None:
        if not learns:
            agent.process.kill()
            machine.boots()
        machine.ntp_sets_the_clock()
        if not learns:
            agent.process.start()

    detail = "then NTP" if learns else "then a power cut"
    fault = _fault("boot in 1970", agent.name, draw.uniform(*TURNED_S), begin, end, detail)
    return fault._replace(holds=fault.holds | {f"clock of {agent.name}"})


def _fault(kind: str, victim: str, seconds: float, begin: Act, end: Act, detail: str = "") -> Fault:
    return Fault(kind, victim, detail, seconds, frozenset({victim}), begin, end)
