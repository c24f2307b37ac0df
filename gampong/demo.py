"""The demo: every process of a small city on one machine, started, watched and ended in order.

In: `DemoOptions`. Out: a live city and the address of its page; at the end, the gateways' ledgers
and the comparison of store and truth. Whatever happens, no process it started outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edge.outbox_reader import count_uplinks
from gampong.broker import choose_broker
from gampong.children import Child, ChildEnded, stop_all, watch_all
from gampong.demo_plan import SPEAK_FILE, DemoOptions, Plan, free_port, make_plan
from gampong.truth import Comparison, compare, read_truth, stored_points, uplinks_due
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from wire.clock import SystemClock
from wire.messages import Ledger

START_S = 60.0
END_S = 1.2  # SIGKILL comes after it, twice: Ctrl-C has ended everything within 3 s
AGENT_END_S = 30.0
ARRIVE_S = 30.0
POLLED_SLACK_S = 5.0


class Report(msgspec.Struct):
    """What `--report` writes and the end of a run prints."""

    seed: int
    speed: float
    broker: str
    city_start_ms: int
    city_seconds: float
    ledgers: dict[str, Ledger]
    total: Ledger
    comparison: Comparison
    balanced: bool
    agrees: bool


def say(text: str) -> None:
    """A line for whoever watches the terminal."""
    print(text, flush=True)


async def run_demo(options: DemoOptions) -> int:
    """Run it to its end; the exit code."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with _folder(options) as folder:
        demo = Demo(options, folder)
        try:
            await demo.start()
            await demo.live()
            return await demo.settle()
        except asyncio.CancelledError:
            task.uncancel()
            say("ending")
            return 0 if options.seconds is None else 130
        except (ChildEnded, OSError) as error:
            say(f"gampong demo: {error}")
            return 2
        finally:
            await stop_all(demo.children[1:], END_S)
            await stop_all(demo.children[:1], END_S)  # the broker last: the others say goodbye


@contextlib.contextmanager
def _folder(options: DemoOptions) -> Iterator[Path]:
    if options.directory is not None:
        folder = options.directory.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SystemExit(f"gampong demo: {folder} isn't empty; name an empty --directory")
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="gampong-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Demo:
    """One run: its plan, its processes, its end."""

    def __init__(self, options: DemoOptions, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.children: list[Child] = []
        self.gateways: list[Path] = []
        self.broker_label = ""
        self._agents: list[Child] = []
        self._world: Child | None = None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        assert self._plan is not None
        return self._plan

    async def start(self) -> None:
        """Start every process; return when all of them serve.

        Raises:
            ChildEnded: one didn't start; the text has the end of its output.
        """
        port = free_port("127.0.0.1")
        choice = choose_broker(self.folder, port, self.options.fallback_broker)
        self.broker_label = choice.label
        say(f"broker: {choice.label} on 127.0.0.1:{port}")
        await self._child("broker", choice.command)
        await _listening(port, START_S)
        self._plan = plan = make_plan(self.options, self.folder, choice, port)
        self._world = await self._child("world", plan.world)
        ready = await self._world.said("ready seed", START_S)
        self.gateways = [Path(word) for word in ready.partition("gateways: ")[2].split()]
        say(f"city: {len(self.gateways)} gateways, seed {self.options.seed}")
        watch = await self._child("watch", plan.watch)
        await watch.said("ready", START_S)
        ingestor = await self._child("ingestor", plan.ingestor)
        await ingestor.said("event=subscribed leaf=backfill", START_S)
        say("ingestor: subscribed")
        for configuration in self.gateways:
            name = configuration.stem
            self._agents.append(await self._child(name, plan.agent(configuration)))
            say(f"gateway: {name}")
        for agent in self._agents:
            await agent.said("event=link_up link=lorawan", START_S)
            if choice.speaks_311:
                await agent.said("event=link_up link=payments", START_S)
        (self.folder / SPEAK_FILE).touch()
        if not self.options.headless:
            page = await self._child("page", plan.page)
            address = (await page.said("page http", START_S)).split()[-1]
            say(f"\n  The city is live at {address}   (Ctrl-C ends it)\n")

    async def live(self) -> None:
        """Until `--seconds` are over, or for ever.

        Raises:
            ChildEnded: a process ended by itself.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.options.seconds):
                await watch_all(self.children)

    async def settle(self) -> int:
        """End the city, let what is on its way arrive, end the rest, compare; the exit code."""
        assert self._world is not None
        say("ending: the city stands still, what is on its way arrives")
        await self._world.stop(END_S * 2)
        await self._uplinks_taken()
        for agent in self._agents:
            agent.send(signal.SIGTERM)
        for agent in self._agents:
            await agent.stop(AGENT_END_S)
        settings = SqliteSettings(path=str(self.plan.database))
        async with open_store(settings, SystemClock(self.plan.city)) as store:
            points = await stored_points(store)
        slack_ms = int(POLLED_SLACK_S * 1000 * max(1.0, self.options.speed)) + 15_000
        report = self._report(compare(read_truth(self.plan.truth), points, slack_ms))
        if self.options.report:
            self.options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        _print(report)
        return 0 if report.balanced and report.agrees else 1

    async def _child(self, name: str, command: list[str]) -> Child:
        child = await Child.start(name, command, self.folder)
        self.children.append(child)
        return child

    async def _uplinks_taken(self) -> None:
        """Until every uplink that was sent is in an outbox; what isn't by then shows as lost."""
        due, clock = uplinks_due(self.plan.truth), SystemClock()
        outboxes = [configuration.with_suffix(".db") for configuration in self.gateways]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVE_S):
                while sum(map(count_uplinks, outboxes)) < due:
                    await clock.pause(0.1)

    def _report(self, comparison: Comparison) -> Report:
        ledgers = {}
        for configuration in self.gateways:
            name = configuration.stem
            path = self.plan.ledger(name)
            if not path.exists():
                comparison.differ(f"{name}: wrote no ledger")
                continue
            ledgers[name] = msgspec.json.decode(path.read_bytes(), type=Ledger)
        total = sum(ledgers.values(), Ledger())
        if comparison.stored != total.stored:
            comparison.differ(f"ledgers say {total.stored} stored, the store {comparison.stored}")
        if total.waiting or total.open:
            comparison.differ(f"{total.waiting} readings still wait, {total.open} are open")
        ended_ms = self.plan.city.at(self.plan.city.wall_ms + 1000 * (self.options.seconds or 0))
        return Report(
            seed=self.options.seed,
            speed=self.options.speed,
            broker=self.broker_label,
            city_start_ms=self.plan.city.city_ms,
            city_seconds=(ended_ms - self.plan.city.city_ms) / 1000,
            ledgers=ledgers,
            total=total,
            comparison=comparison,
            balanced=all(ledger.balanced for ledger in ledgers.values()),
            agrees=comparison.differences == 0,
        )


async def _listening(port: int, within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _print(report: Report) -> None:
    total, compared = report.total, report.comparison
    say(f"\nledger of {', '.join(report.ledgers)}")
    for name in ("taken", "refused", "suppressed", "open", "accepted", "waiting", "stored",
                 "rejected", "dropped", "noise", "gaps"):  # fmt: skip
        value = getattr(total, name)
        shown = sum(value.values()) if isinstance(value, dict) else value
        why = ", ".join(f"{k} {v}" for k, v in sorted(value.items())) if shown and isinstance(
            value, dict) else ""  # fmt: skip
        say(f"  {name:<11}{shown:>9}  {why}".rstrip())
    say(f"  balances: {'yes' if report.balanced else 'NO'}")
    say(
        f"truth: {compared.uplinks_sent} uplinks sent, {compared.uplinks_stored} stored; "
        f"{compared.polled_stored} points of polled devices, each a value the device gave"
    )
    for words in compared.words:
        say(f"  DIFFERS  {words}")
    if compared.differences > len(compared.words):
        say(f"  and {compared.differences - len(compared.words)} more")
    say("stored equals truth" if report.agrees else "STORED DIFFERS FROM TRUTH")
