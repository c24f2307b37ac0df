"""Many gateways in one process, on a real broker: the uplink's own rules over true batches.

    FleetGateway ─seal─▶ waiting ─edge.window─▶ FleetLink ─▶ broker ─▶ … ─▶ confirm ─▶ settled

What is played is the cloud's view of a gateway: retained inventory and status, a will, snapshots,
windows, message expiry, re-sends, holds, questions whether anybody listens. `edge.window` decides
what is sent, as on a gateway, so that its promises are tested and not imitated. Left out is what
the cloud can't see: sensors and the outbox's file.

    fleet = Fleet(Plan(gateways=100, interval_s=5), clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.run(stop))
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bench.fleet_player import Plan, Player
from bench.fleet_tally import Tally
from edge.links.health import Backoff
from edge.uplink import RECONNECT_S
from simulators.fleet import FleetGateway
from simulators.fleet_link import FleetLink, Packet
from wire.clock import Clock
from wire.messages import Status, encode_message
from wire.topics import Leaf, topic

CONNECTING_MAX = 64
"""Connections being made at once in a process: mosquitto's listen queue holds 100."""

CONNECT_S = 20.0
_TURN_S = 0.005  # what falls due within it is done in one turn of the loop


class Fleet:
    """The gateways of a plan. Make it inside a running loop; `tally` counts from then on. While
    `sealing` is False nothing new is sealed."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan, self.tally = plan, Tally()
        self.sealing = True
        numbers = range(plan.first, plan.first + plan.gateways)
        self.players = [
            Player(
                FleetGateway(number, plan.readings, plan.seed, plan.life), plan, clock, self.tally
            )
            for number in numbers
        ]
        self._links: set[FleetLink] = set()
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)

    def prepare(self) -> None:
        """Seal the backlog; before `run`, since it takes a while."""
        for player in self.players:
            player.prepare(self.plan.backlog, self.plan.backlog_span_s)

    async def run(self, stop: asyncio.Event) -> None:
        """Play until `stop`, then say goodbye."""
        shares = self.plan.links or len(self.players)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep(self.players[share::shares]))
                for share in range(min(shares, len(self.players)))
            ]
            if self.plan.interval_s:
                tasks.append(group.create_task(self._repeat(self.plan.interval_s, self._seal)))
            tasks.append(group.create_task(self._repeat(self.plan.status_s, Player.say_status)))
            await stop.wait()
            for task in tasks:
                task.cancel()

    def cut(self) -> None:
        """Every link at once is cut, as by a power cut of the network between."""
        for link in tuple(self._links):
            link.abort()

    def _seal(self, player: Player) -> None:
        if self.sealing:
            player.seal()

    async def _repeat(self, interval_s: float, what: Callable[[Player], None]) -> None:
        """Do it for each gateway in turn, spread evenly over the interval, again and again."""
        loop = asyncio.get_running_loop()
        due, step = loop.time(), interval_s / len(self.players)
        while True:
            for player in self.players:
                due += step
                if due > loop.time() + _TURN_S:
                    await asyncio.sleep(due - loop.time())
                what(player)
            await asyncio.sleep(0)

    async def _keep(self, players: list[Player]) -> None:
        """One connection after the other for these gateways."""
        backoff = Backoff(*RECONNECT_S)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            with suppress(OSError, TimeoutError):
                await self._connection(players)
            if loop.time() - began > RECONNECT_S[1]:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connection(self, players: list[Player]) -> None:
        """From its CONNECT to its end.

        Raises:
            OSError, TimeoutError: it can't be had.
        """
        ended, ready = asyncio.Event(), asyncio.Event()
        by_topic = {topic(player.name, Leaf.CONFIRM): player for player in players}

        def heard(name: str, payload: bytes) -> None:
            by_topic[name].confirmed(payload)

        def up() -> None:
            ready.set()
            self.tally.connected += 1
            for player in players:
                player.up(link)

        def down(code: int | None) -> None:
            if ready.is_set():
                self.tally.connected -= 1
                self.tally.connections_lost += link in self._links
            for player in players:
                player.down(code)
            ended.set()
            ready.set()

        first = players[0]
        client_id = f"{first.name}-{first.gateway.epoch.hex()}"
        will = self._will(first) if len(players) == 1 else None
        link = FleetLink(client_id, [*by_topic], heard, up, down, will)
        self._links.add(link)
        try:
            async with self._connecting, asyncio.timeout(CONNECT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: link, self.plan.host, self.plan.port)
                await ready.wait()
            await ended.wait()
        finally:
            self._links.discard(link)
            link.close()

    def _will(self, player: Player) -> Packet:
        status = Status(player.name, online=False, epoch=player.gateway.epoch.hex())
        return Packet(topic(player.name, Leaf.STATUS), encode_message(status), retain=True)
