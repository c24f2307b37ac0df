"""Vendors' decoders (TS013) in their own process: what they make, and what they can't break.

The decoders here are ours: none of a vendor's is shipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from devices.envelope import Uplink
from devices.field_map import FieldFrom, FieldMap, map_driver
from devices.reading import Payload
from edge.links import Link, NotAccepted, Sink
from edge.links.codecs import CodecFault, Codecs
from edge.links.decoding import WAITING_MAX, Decoding
from edge.links.lending import Lending
from edge.links.repeats import Once
from tests.edge.links.heard import Heard, running, until
from wire.messages import LinkStatus

EUI = "24e124713b493357"
UPLINK = Uplink(EUI, 2, bytes([45, 0x0E, 0x10]), 1_790_000_000_123)

LEVEL = """
function decodeUplink(input) {
  console.log("seen", input.bytes.length);
  return {
    data: {
      level: input.bytes[0],
      battery: {mv: (input.bytes[1] << 8) | input.bytes[2]},
      port: input.fPort,
      at: input.recvTime.toISOString(),
      nothing: undefined,
    },
    warnings: ["a little late"],
  };
}
"""
FAULTS = {
    "time": [
        "function decodeUplink() { while (true) {} }",
        "function decodeUplink() { while (true) { try { while (true) {} } catch (e) {} } }",
        "function decodeUplink() { return {get data() { while (true) {} }}; }",
        'function decodeUplink() { return {data: {a: /(a+)+$/.test("a".repeat(40) + "b")}}; }',
    ],
    "memory": [
        "function decodeUplink() { const a = []; while (true) a.push(new Array(1000).fill(1)); }",
        "function decodeUplink() { return {data: {a: new Uint8Array(1e9)}}; }",
    ],
    "error": [
        "function decodeUplink(i) { return decodeUplink(i); }",
        'function decodeUplink() { throw new Error("no such port"); }',
        "function decodeUplink() { throw null; }",
        "function decodeUplink() { return {data: {a: 10n}}; }",
        "function decodeUplink() { const a = {}; a.a = a; return {data: a}; }",
        'function decodeUplink() { return require("fs"); }',
    ],
    "output": [
        'function decodeUplink() { return {data: {a: "x".repeat(1e6)}}; }',
        "function decodeUplink() {}",
        "function decodeUplink() { return {data: [1]}; }",
        "async function decodeUplink() { return {data: {}}; }",
    ],
    "refused": ['function decodeUplink() { return {errors: ["unknown port"]}; }'],
    "load": ["const a = 1;", "function (", "while (true) {}", "\udcff"],
}
SPELLINGS = [
    "const decodeUplink = (input) => ({data: {a: input.bytes[0]}});",
    "export function decodeUplink(input) { return {data: {a: input.bytes[0]}}; }",
    "function decodeUplink(input) { return {data: {a: input.bytes[0]}}; }\nexport {decodeUplink};",
    "exports.decodeUplink = (input) => ({data: {a: input.bytes[0]}});",
    "'use strict'; let exports = {}; const console = 1;"
    "var decodeUplink = function (input) { return {data: {a: input.bytes[0]}}; };",
    "JSON.stringify = JSON.parse = Date = null;"
    "function decodeUplink(input) { return {data: {a: input.bytes[0]}}; }",
]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    numbers = iter(range(1000))

    def write(source: str) -> str:
        path = tmp_path / f"decoder-{next(numbers)}.js"
        path.write_bytes(source.encode(errors="surrogateescape"))
        return str(path)

    return write


def decoded(*asked: tuple[str, Uplink]) -> list[bytes | str]:
    """What one process makes of them, in order: JSON, or the reason of its fault."""

    async def ask() -> list[bytes | str]:
        codecs = Codecs()
        answers: list[bytes | str] = []
        try:
            for path, uplink in asked:
                try:
                    answers.append(await codecs.decode(path, uplink))
                except CodecFault as fault:
                    answers.append(fault.reason)
        finally:
            await codecs.close()
        return answers

    return asyncio.run(ask())


def test_a_decoder_gets_what_the_specification_says_and_its_data_is_mapped(file):
    (answer,) = decoded((file(LEVEL), UPLINK))
    assert isinstance(answer, bytes)
    assert json.loads(answer) == {
        "level": 45,
        "battery": {"mv": 3600},
        "port": 2,
        "at": "2026-09-21T14:13:20.123Z",
    }
    map_ = FieldMap(
        kind="waste_container",
        fields={
            "filling_level": FieldFrom(from_="level", unit="%"),
            "battery_v": FieldFrom(from_="battery.mv", unit="mV"),
        },
    )
    (values,) = map_driver("bin", map_).decode(Payload(answer))
    assert values.fields == {"filling_level": 0.45, "battery_v": 3.6}


@pytest.mark.parametrize("source", SPELLINGS)
def test_decoders_are_taken_as_their_vendors_write_them(file, source):
    assert decoded((file(source), UPLINK)) == [b'{"a": 45}']


@pytest.mark.parametrize("reason", FAULTS)
def test_a_decoder_that_misbehaves_is_stopped_and_the_next_uplink_is_decoded(file, reason):
    good = file(LEVEL)
    asked = [(file(source), UPLINK) for source in FAULTS[reason]]
    answers = decoded(*(pair for bad in asked for pair in (bad, bad, (good, UPLINK))))
    assert answers[0::3] == answers[1::3] == [reason] * len(asked)
    assert all(isinstance(answer, bytes) for answer in answers[2::3])


def test_a_decoder_starts_anew_after_a_fault(file):
    source = """
    var seen = 0;
    function decodeUplink(input) {
      seen += 1;
      if (input.bytes[0] === 0) throw new Error("zero");
      return {data: {seen}};
    }
    """
    path = file(source)
    zero = Uplink(EUI, 1, b"\0", 0)
    answers = decoded((path, UPLINK), (path, UPLINK), (path, zero), (path, UPLINK))
    assert answers == [b'{"seen": 1}', b'{"seen": 2}', "error", b'{"seen": 1}']


def test_decoders_do_not_see_each_other(file):
    first = "var secret = 7; Object.assign = null; function decodeUplink() { return {data: {}}; }"
    second = (
        "function decodeUplink() { return {data: {secret: typeof secret, "
        "assign: typeof Object.assign}}; }"
    )
    answers = decoded((file(first), UPLINK), (file(second), UPLINK))
    assert answers == [b"{}", b'{"secret": "undefined", "assign": "function"}']


def test_a_file_that_is_not_there_or_too_long_is_a_fault(file, tmp_path):
    long = file("//" + "x" * 1_100_000)
    assert decoded((str(tmp_path / "none.js"), UPLINK), (long, UPLINK)) == ["load", "load"]


def test_a_process_that_dies_or_hangs_is_replaced(file):
    async def scenario():
        codecs, path = Codecs(answer_s=0.5), file(LEVEL)
        try:
            await codecs.decode(path, UPLINK)
            assert codecs._process
            os.kill(codecs._process.pid, signal.SIGKILL)
            with pytest.raises(CodecFault) as died:
                await codecs.decode(path, UPLINK)
            await codecs.decode(path, UPLINK)
            os.kill(codecs._process.pid, signal.SIGSTOP)
            with pytest.raises(CodecFault) as stuck:
                await codecs.decode(path, UPLINK)
            await codecs.decode(path, UPLINK)
        finally:
            await codecs.close()
        assert (died.value.reason, stuck.value.reason) == ("died", "stuck")

    asyncio.run(scenario())


def test_an_answer_nobody_waits_for_is_never_taken_for_the_next(file):
    async def scenario():
        codecs = Codecs()
        slow = file(
            "function decodeUplink() { let a = 0; while (a < 1e5) a++; return {data: {}}; }"
        )
        try:
            await codecs.decode(file(LEVEL), UPLINK)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(codecs.decode(slow, UPLINK))
                await until(lambda: codecs._asked == 2)
                asking.cancel()
            answer = await codecs.decode(file(LEVEL), UPLINK)
        finally:
            await codecs.close()
        assert json.loads(answer)["level"] == 45

    asyncio.run(scenario())


class Source:
    """A link that hands over what a test gives it."""

    name = "lns"

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    async def run(self) -> None:
        await asyncio.Event().wait()

    def status(self) -> LinkStatus:
        return LinkStatus(self.name, "up", {"event_join": 1})


def around(sink: Heard, files: dict[str, str]) -> tuple[Decoding, Source]:
    made: list[Source] = []

    def make(inner: Sink) -> Link:
        made.append(Source(inner))
        return made[0]

    return Decoding(files, sink, make), made[0]


def test_a_link_hands_on_decoded_uplinks_and_leaves_others_alone(file):
    async def scenario():
        sink = Heard()
        link, source = around(sink, {EUI: file(LEVEL)})
        other = Uplink("ff" * 8, 2, b"\x01", 5, decoded=b"{}")
        answers: list[NotAccepted | None] = []
        async with running(link):
            source.sink.uplink("lns", UPLINK, answers.append)
            source.sink.uplink("lns", other, answers.append)
            await until(lambda: len(answers) == 2)
        assert answers == [None, None]
        first, second = sorted(sink.uplinks, key=lambda one: one.time_ms)
        assert first == other
        assert json.loads(second.decoded)["level"] == 45
        assert second.data == UPLINK.data
        assert link.status() == LinkStatus("lns", "up", {"event_join": 1})

    asyncio.run(scenario())


def test_an_uplink_its_decoder_gives_nothing_for_goes_on_undecoded_and_is_counted(file):
    async def scenario():
        sink = Heard()
        link, source = around(sink, {EUI: file('function decodeUplink() { throw "no"; }')})
        async with running(link):
            source.sink.uplink("lns", UPLINK, lambda _: None)
            await until(lambda: sink.uplinks)
        assert sink.uplinks == [UPLINK]
        status = link.status()
        assert status.errors == {"event_join": 1, "decoder_error": 1}
        assert "decoder-0.js" in status.detail

    asyncio.run(scenario())


def test_more_uplinks_than_may_wait_are_not_accepted(file):
    async def scenario():
        link, source = around(Heard(), {EUI: file(LEVEL)})
        answers: list[NotAccepted | None] = []
        for _ in range(WAITING_MAX + 3):
            source.sink.uplink("lns", UPLINK, answers.append)
        assert len(answers) == 3
        assert all(isinstance(answer, NotAccepted) for answer in answers)
        assert link.name == "lns"

    asyncio.run(scenario())


def test_a_link_that_begins_anew_loses_no_uplink_that_is_being_decoded(file):
    async def scenario():
        sink = Heard()
        link, source = around(sink, {EUI: file(LEVEL)})
        once, lending = Once(source.sink), Lending(link)
        uplink = msgspec.structs.replace(UPLINK, deduplication_id="told-once")
        answers: list[NotAccepted | None] = []
        async with running(lending):
            once.uplink("lns", uplink, answers.append)
            await until(lambda: link._begun)
            lending.restart()
            await until(lambda: answers)
            once.uplink("lns", uplink, answers.append)
            await until(lambda: len(answers) == 2)
        assert answers == [None, None]
        assert [json.loads(one.decoded)["level"] for one in sink.uplinks] == [45]
        assert sink.refusals == {(EUI, "repeat"): 1}

    asyncio.run(scenario())


def test_the_loop_goes_on_while_a_decoder_hangs(file):
    async def scenario():
        codecs = Codecs()
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        try:
            await codecs.decode(file(LEVEL), UPLINK)
            async with asyncio.TaskGroup() as group:
                turning = group.create_task(turn())
                with pytest.raises(CodecFault):
                    await codecs.decode(file(FAULTS["time"][0]), UPLINK)
                turning.cancel()
        finally:
            await codecs.close()
        assert turns > 1000

    asyncio.run(scenario())
