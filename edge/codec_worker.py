"""A process of its own that runs vendors' decoders (TS013, JavaScript) for the agent.

In, one JSON line a request: the decoder's file, and what `decodeUplink` gets. Out, one JSON line:
its `data`, or what went wrong. It ends when its input does, that is with the agent.

    {"id": 7, "file": "/etc/gampong/acme.js", "bytes": [1, 2], "fPort": 2, "recvTime": 1790000000}
    {"id": 7, "data": {"level": 45}}
    {"id": 7, "fault": "time", "detail": "interrupted"}

`recvTime` is in milliseconds. A decoder comes from outside, so it gets little: no file, network or
clock but Date, 0.25 s of processor, 8 MiB of memory, 256 KiB of stack, 16 KiB of output. After any
fault its context is thrown away: a memory fault leaves a broken one. Each file has a context of its
own, since decoders redefine what others use (Milesight's redefine Object.assign). The engine is C:
an error in it costs this process, not the agent, and the process has little to lose.

Nothing of ours is imported: what this process doesn't load can't be reached from it.
Source of the traps: shared/devices/vendor_codecs.md (1,430 catalogue examples measured).
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

CPU_S = 0.25
MEMORY_BYTES = 8 * 1024 * 1024
STACK_BYTES = 256 * 1024
OUTPUT_BYTES = 16 * 1024
SOURCE_BYTES = 1024 * 1024
PROCESS_BYTES = 512 * 1024 * 1024
NO_ENGINE = 3

_EXPORTED = re.compile(
    r"^([ \t]*)export\s+(?:default\s+)?(?=async\b|function\b|const\b|let\b|var\b)", re.MULTILINE
)
_EXPORT_LIST = re.compile(r"^[ \t]*export\s*\{[^}]*\}\s*;?[ \t]*$", re.MULTILINE)

_BEFORE = """
globalThis.console = {log() {}, info() {}, warn() {}, error() {}, debug() {}};
globalThis.module = {exports: {}};
globalThis.exports = module.exports;
globalThis.__natives = {parse: JSON.parse, stringify: JSON.stringify, Date};
"""
_AFTER = """
(function () {
  const {parse, stringify, Date} = __natives;
  const decode = typeof decodeUplink === "function" ? decodeUplink : module.exports.decodeUplink;
  if (typeof decode !== "function") throw new Error("no function decodeUplink");
  return function (text) {
    const input = parse(text);
    input.recvTime = new Date(input.recvTime);
    return stringify(decode(input)) || "null";
  };
})()
"""


class Fault(Exception):
    """A decoder that gave nothing: `reason` is from a closed list, the message is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail.partition("\n")[0][:200])


def load(engine: Any, file: str) -> Any:
    """The decoder's function, in a context of its own.

    Raises:
        Fault: `load`.
    """
    try:
        with Path(file).open("rb") as source:
            text = source.read(SOURCE_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault("load", f"{file}: {error}") from error
    if len(text) > SOURCE_BYTES:
        raise Fault("load", f"{file}: over {SOURCE_BYTES} bytes")
    context = engine.Context()
    context.set_memory_limit(MEMORY_BYTES)
    context.set_max_stack_size(STACK_BYTES)
    context.set_time_limit(CPU_S)
    try:
        context.eval(_BEFORE)
        context.eval(_EXPORT_LIST.sub("", _EXPORTED.sub(r"\1", text)))
        return context.eval(_AFTER)
    except (engine.JSException, MemoryError) as error:
        raise Fault("load", f"{file}: {error}") from error


def decode(engine: Any, function: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The decoder's `data`.

    Raises:
        Fault: `time`, `memory`, `error` (it threw), `output`, `refused` (its own errors).
    """
    asked = {name: request[name] for name in ("bytes", "fPort", "recvTime")} | {"variables": {}}
    try:
        text = function(json.dumps(asked))
    except (engine.JSException, MemoryError) as error:
        raise Fault(_reason(str(error)), str(error)) from error
    if not isinstance(text, str) or len(text) > OUTPUT_BYTES:
        raise Fault("output", f"over {OUTPUT_BYTES} bytes, or no text")
    try:
        output = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault("output", "no JSON") from error
    if not isinstance(output, dict):
        raise Fault("output", "no object")
    if output.get("errors"):
        raise Fault("refused", json.dumps(output["errors"]))
    data = output.get("data")
    if not isinstance(data, dict):
        raise Fault("output", "no data")
    return data


def _reason(words: str) -> str:
    if "interrupted" in words:
        return "time"
    return "memory" if "out of memory" in words else "error"


def limit() -> None:
    """Little to lose: no file written, no core, no process started, memory bounded."""
    for which, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, PROCESS_BYTES),
    ):
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


def respond(engine: Any, functions: dict[str, Any], line: bytes) -> dict[str, Any]:
    """What to say to one request."""
    request = json.loads(line)
    file = request["file"]
    try:
        if file not in functions:
            functions[file] = load(engine, file)
        return {"id": request["id"], "data": decode(engine, functions[file], request)}
    except Fault as fault:
        functions.pop(file, None)  # a fresh start
        return {"id": request["id"], "fault": fault.reason, "detail": str(fault)}


def main() -> int:
    """Answer until the input ends."""
    try:
        import quickjs  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return NO_ENGINE
    limit()
    functions: dict[str, Any] = {}
    for line in sys.stdin.buffer:
        said = json.dumps(respond(quickjs, functions, line))
        sys.stdout.buffer.write(said.encode() + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
