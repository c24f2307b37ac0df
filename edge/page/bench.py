"""The work bench: one piece of work at a time, begun, stopped, and what is good of it written.

In: forms of whoever is logged in. Out: the work, running or done (`work.py`), a written
configuration, a line in the log of the site.
"""

from __future__ import annotations

import asyncio

from edge.calibration import HEIGHT_MM_MAX, HEIGHT_MM_MIN, Target, Verdict
from edge.configuration import Device
from edge.links.lending import NotLent
from edge.links.serial_port import PortDown
from edge.page import work
from edge.page.desk import Desk, Refusing
from edge.page.work import Doing, Kind, Work
from edge.rewriting import with_device_keys
from edge.site_log import What
from wire.configuration import ConfigurationError


class Bench:
    """One gateway's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.work: Work | None = None
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, group: asyncio.TaskGroup) -> None:
        """The agent runs; work goes into that group."""
        self._group = group

    def end(self) -> None:
        """The agent's links stop."""
        self._group = None

    def ports(self) -> dict[str, str]:
        """Ports to scan, and the links that hold them."""
        return work.ports(self._desk.configuration)

    def targets_of(self, device: Device) -> list[Target]:
        """What it can be calibrated for."""
        return work.targets_of(self._desk.configuration, device)

    def calibrate(self, name: str, target: str, height: str, anyway: bool) -> None:
        """Begin to measure; what is good is written.

        Raises:
            Refusing: not that device, not now.
        """
        device = self._desk.device(name)
        if target not in self.targets_of(device):
            raise Refusing("page.not_found")
        height_mm = _height_mm(height)
        now = Work(Kind.CALIBRATE, name, Target(target))
        self._begin(now, self._calibrated(now, height_mm, anyway))

    def scan(self, port: str, quick: bool) -> None:
        """Begin to look what hangs there.

        Raises:
            Refusing: not a port of this machine, not now.
        """
        if port not in self.ports():
            raise Refusing("page.not_found")
        now = Work(Kind.SCAN, port)
        self._begin(now, self._scanned(now, quick))

    async def write_found(self) -> None:
        """Add what the scan found to the configuration.

        Raises:
            Refusing: nothing was, or it can't be written.
        """
        from edge.scan.proposal import propose

        now, file = self.work, self._desk.file
        if now is None or now.running or not now.found or now.written:
            raise Refusing("work.none")
        before = file.text
        try:
            proposal = propose(before, now.found, str(file.path))
            if proposal.new:
                await self._desk.change(before, proposal.text, f"added {', '.join(proposal.new)}")
        except (ConfigurationError, OSError) as error:
            raise Refusing("work.not_written", detail=str(error)) from error
        now.written = ", ".join([*proposal.new, *proposal.left_out]) or "–"

    def stop(self) -> None:
        """End what runs; the port goes back."""
        if self._task and self.work and self.work.running:
            self._task.cancel()

    def begin_anew(self) -> None:
        """Let the agent take the written configuration up.

        Raises:
            Refusing: work is running.
        """
        if self.work and self.work.running:
            raise Refusing("work.busy")
        self._desk.file.again.set()

    def _begin(self, now: Work, doing: Doing) -> None:
        if self._group is None or (self.work and self.work.running):
            doing.close()
            raise Refusing("work.busy")
        self.work = now
        self._task = self._group.create_task(_finished(now, doing))
        self._task.add_done_callback(lambda _: _never_begun(now, doing))

    async def _calibrated(self, now: Work, height_mm: float | None, anyway: bool) -> None:
        inside, file = self._desk.inside, self._desk.file
        before = file.text
        await work.calibrate(
            now, inside.configuration, inside.links, self._desk.clock, height_mm, anyway
        )
        judged = now.judged
        said = f"{now.target}: {judged.verdict}, {judged.seen}" if judged else now.problem
        if judged and judged.verdict is Verdict.GOOD:
            keys = ", ".join(f"{judged.table}.{key} = {mm}" for key, mm in judged.keys.items())
            try:
                after = with_device_keys(
                    before, str(file.path), now.subject, judged.table, judged.keys
                )
                await self._desk.change(before, after, f"{now.subject}: {keys}")
                now.written = keys
            except (ConfigurationError, OSError) as error:
                now.problem, now.detail = "not_written", str(error)
                said = f"{said}, not written: {error}"
        await self._desk.log(What.CALIBRATED, now.subject, said)

    async def _scanned(self, now: Work, quick: bool) -> None:
        inside = self._desk.inside
        await work.scan(now, inside.configuration, inside.links, self._desk.clock, quick)
        await self._desk.log(What.SCANNED, text=f"{now.subject}: {len(now.found)} found")


async def _finished(now: Work, doing: Doing) -> None:
    """The work, with every way it can fail as a word."""
    try:
        await doing
    except NotLent as error:
        now.problem, now.detail = "lent", str(error)
    except PortDown as error:
        now.problem, now.detail = "port", str(error)
    except TimeoutError:
        now.problem = "late"
    except asyncio.CancelledError:
        now.problem = "stopped"
        raise
    finally:
        now.running = False


def _never_begun(now: Work, doing: Doing) -> None:
    """A task that is cancelled before its first step runs none of its code."""
    doing.close()
    if now.running:
        now.running, now.problem = False, "stopped"


def _height_mm(text: str) -> float | None:
    """A height as typed, None for none.

    Raises:
        Refusing: not a number of millimetres that a container could have.
    """
    if not text.strip():
        return None
    try:
        height_mm = float(text.replace(",", "."))
    except ValueError:
        height_mm = 0.0
    if not HEIGHT_MM_MIN <= height_mm <= HEIGHT_MM_MAX:
        raise Refusing("calibrate.bad_height", text=text[:16])
    return height_mm
