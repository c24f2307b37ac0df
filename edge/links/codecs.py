"""Vendors' decoders (TS013), asked in a process of their own: `edge/codec_worker.py`.

In: a decoder's file and an uplink. Out: the JSON object it makes of the payload, or `CodecFault`.
One process serves all decoders of a link, one request at a time; it is started when it is first
needed, again after it died or gave no answer in time, and ends with the agent. Only files that the
configuration names are ever run.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from devices.envelope import Uplink

ANSWER_S = 2.0
"""Wall seconds for one request: its own limit is 0.25 s of processor, on a machine that is busy."""

START_S = 20.0  # the first answer: Python starts, from a slow card
LINE_BYTES_MAX = 256 * 1024
NO_ENGINE = 3

_WORKER = Path(__file__).resolve().parents[1] / "codec_worker.py"


class CodecFault(Exception):
    """No object: `reason` is load, time, memory, error, output, refused, stuck, died or
    no_engine."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


class _Said(msgspec.Struct):
    id: int
    data: msgspec.Raw = msgspec.Raw(b"")
    fault: str = ""
    detail: str = ""


class Codecs:
    """The process, and who may ask it."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._asked = 0

    async def decode(self, file: str, uplink: Uplink) -> bytes:
        """JSON of what that decoder makes of the payload.

        Raises:
            CodecFault: nothing.
        """
        async with self._lock:
            self._asked += 1
            request = {
                "id": self._asked,
                "file": file,
                "bytes": list(uplink.data),
                "fPort": uplink.f_port,
                "recvTime": uplink.time_ms,
            }
            said = await self._ask(msgspec.json.encode(request) + b"\n")
        if said.fault:
            raise CodecFault(said.fault, said.detail)
        return bytes(said.data)

    async def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _ask(self, request: bytes) -> _Said:
        within_s = self._answer_s if self._process else START_S
        process, whole = await self._running(), False
        assert process.stdin and process.stdout
        try:
            async with asyncio.timeout(within_s):
                process.stdin.write(request)
                await process.stdin.drain()
                line = await process.stdout.readline()
            said = msgspec.json.decode(line, type=_Said)
            if said.id != self._asked:
                raise CodecFault("died", "another answer than the one asked for")
            whole = True
            return said
        except TimeoutError as error:
            raise CodecFault("stuck", f"no answer in {within_s:g} s") from error
        except (OSError, ValueError) as error:  # ValueError: no line, or none of ours
            if not process.stdout.at_eof():
                raise CodecFault("died", str(error)) from error
            if await process.wait() == NO_ENGINE:
                remedy = "quickjs-ng is missing: pip install 'gampong[js]'"
                raise CodecFault("no_engine", remedy) from error
            raise CodecFault("died", f"the process ended: {process.returncode}") from error
        finally:
            if not whole:  # nobody waits for a late answer
                await self.close()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_WORKER),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
                env={},
                start_new_session=True,  # a terminal's Ctrl-C is for the agent
            )
        return self._process
