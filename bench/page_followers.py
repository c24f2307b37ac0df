"""Operators' open pages without browsers: each speaks NiceGUI's socket as its own script does.

A follower loads a page, opens the websocket with the page's own words (Engine.IO 4, Socket.IO 5),
answers pings, acknowledges each three seconds as the script does, and counts what it is told. What
a browser would do with it, draw, isn't done: that is the viewer's machine's work.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import time
import uuid
from collections.abc import Sequence

import aiohttp

ACK_S = 3.0
PATCH = '"run_javascript"'
_QUERY = re.compile(r"query: (\{.*?\}),\n")
_SOCKET = "/_nicegui_ws/socket.io/"


class Follower:
    """One open page; `patches` and `received_bytes` since `begin_count`."""

    def __init__(self, session: aiohttp.ClientSession, address: str, path: str) -> None:
        self.patches = self.messages = self.received_bytes = 0
        self.longest_s = 0.0  # between two messages
        self.opened = asyncio.Event()
        self._session, self._address, self._path = session, address.rstrip("/"), path
        self._heard_s = 0.0
        self._next_id = 0

    def begin_count(self) -> None:
        """Count anew."""
        self.patches = self.messages = self.received_bytes = 0
        self.longest_s, self._heard_s = 0.0, time.monotonic()

    async def follow(self) -> None:
        """Open the page and follow it until cancelled.

        Raises:
            RuntimeError: the page doesn't come, or its socket is closed.
        """
        query = await self._load()
        url = self._address.replace("http", "ws", 1) + _SOCKET
        async with self._session.ws_connect(
            url, params=query, origin=self._address, max_msg_size=0
        ) as socket:
            await socket.send_str("40")
            async with asyncio.TaskGroup() as group:
                group.create_task(self._acknowledge(socket, query["client_id"]))
                async for message in socket:
                    await self._take(socket, message.data)
                raise RuntimeError(f"{self._path}: the socket was closed")

    async def _load(self) -> dict[str, str]:
        async with self._session.get(self._address + self._path) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise RuntimeError(f"{self._path}: {answer.status}")
        found = _QUERY.search(text)
        if found is None:
            raise RuntimeError(f"{self._path}: no page of NiceGUI's")
        said = ast.literal_eval(found[1])  # a dictionary, as Python writes it
        self._next_id = int(said["next_message_id"])
        own = {"document_id": str(uuid.uuid4()), "tab_id": str(uuid.uuid4()), "old_tab_id": ""}
        fixed = {"EIO": "4", "transport": "websocket"}
        words = {key: _word(value) for key, value in said.items()}
        return {**words, **own, **fixed}

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, data: str) -> None:
        now = time.monotonic()
        if self._heard_s:
            self.longest_s = max(self.longest_s, now - self._heard_s)
        self._heard_s = now
        self.received_bytes += len(data)
        if data == "2":
            await socket.send_str("3")
        elif data.startswith("40"):
            self.opened.set()
        elif data.startswith("42"):
            self.messages += 1
            self.patches += data.startswith(PATCH, 3)
            numbered = re.search(r'"_id":(\d+)', data)
            if numbered:
                self._next_id = int(numbered[1]) + 1

    async def _acknowledge(self, socket: aiohttp.ClientWebSocketResponse, client: str) -> None:
        while True:
            await asyncio.sleep(ACK_S)
            said = ["ack", {"client_id": client, "next_message_id": self._next_id}]
            await socket.send_str(f"42{json.dumps(said)}")


def _word(value: object) -> str:
    """As a script's URL says it."""
    return json.dumps(value) if isinstance(value, bool) else str(value)


async def open_all(followers: Sequence[Follower], group: asyncio.TaskGroup) -> None:
    """Open them one after the other, and wait until each is heard."""
    for follower in followers:
        group.create_task(follower.follow())
        await asyncio.wait_for(follower.opened.wait(), 60)
