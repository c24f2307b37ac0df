"""What gateways and the cloud say to each other, for `bench.fuzz`.

Takers: the guard (batches as they come, and batches whose lines were changed under a true key),
every message, bundles, MQTT's packets in both directions. The guard's two ways, a batch at once and
line by line, have to agree.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

import msgspec
import zstandard

from bench.fuzzing import Broken, Taker, mutated, mutated_text
from ingest.account_points import fields_of
from ingest.completeness import Mark, Note, account, day_of
from ingest.guard import (
    Checked,
    Limits,
    Refused,
    check,
    cost_of,
    postpone,
    sort_out,
    sort_out_at_once,
)
from ingest.health import (
    Heard,
    device_facts,
    gateway_fact,
    oldest_waiting_s,
    point,
    registry_points,
)
from ingest.newcomers import Newcomers
from ingest.rates import Rates
from ingest.registry import Registry
from ingest.stores.kinds import GATEWAY_COMPLETENESS
from simulators.fleet import FleetGateway
from wire import mqtt
from wire.batch import CONTENT_TYPE, RAW_BYTES_MAX, BatchKey, digest, encode_batch
from wire.bundle import BadBundle, Bundle, decode_bundle, encode_bundle
from wire.line import LINE_PATTERNS
from wire.messages import (
    BadMessage,
    CloudTime,
    Confirm,
    Fate,
    Inventory,
    InventoryDevice,
    Ledger,
    LinkStatus,
    Place,
    Status,
    decode_confirm,
    decode_message,
    encode_message,
    pack_message,
)
from wire.mqtt import BadPacket, Message
from wire.mqtt_flow import Flights, Inbox
from wire.remote import Applied, Ask, Command, CommandResult, ConfigurationState, Desired

NOW_MS = 1_795_136_400_000
GATEWAY = "gw-pasar"
EPOCH = bytes(range(16))
LIMITS = Limits()
NEWCOMERS_A_DAY = 50


def takers() -> list[Taker]:
    """All of them."""
    return [*_batches(), *_messages(), *_watched(), *_packets(), _bundle()]


def _lines() -> list[bytes]:
    gateway = FleetGateway(1, 13, seed=3)
    texts = [*gateway.lines(NOW_MS), *gateway.lines(NOW_MS - 5_000_000)]
    return ["".join(f"{line}\n" for line in texts[start : start + 9]).encode() for start in (0, 9)]


class _Ingest:
    """The guard with a registry in which some devices are another gateway's."""

    def __init__(self) -> None:
        self.newcomers = Newcomers(NEWCOMERS_A_DAY, self._whose)

    def _whose(self, device: str) -> str | None:
        return "another" if device.endswith("3") else GATEWAY if device.endswith("1") else None

    def owner_of(self, device: str, _time_ms: int) -> str | None:
        return self._whose(device)

    def judge(self, message: Message) -> str:
        """What became of it; every line that is written is good, and this gateway's."""
        judged = check(message, NOW_MS, LIMITS, self.owner_of, self.newcomers)
        postpone(message)
        if cost_of(judged, message) <= 0:
            raise Broken("costs nothing")
        if isinstance(judged, Checked):
            for line in judged.lines:
                kind, _, _ = line.partition(",")
                plain = line.replace(f",gateway={judged.gateway}", "", 1)
                if not LINE_PATTERNS[kind].fullmatch(plain):
                    raise Broken(f"writes {line[:200]!r}")
            return f"checked{' in part' if judged.rejected else ''}"
        word = type(judged).__name__.lower()
        return f"{word} {judged.reason}" if not isinstance(judged, Refused) else word


def _batches() -> list[Taker]:
    ingest = _Ingest()
    topic = f"gampong/v1/{GATEWAY}/batch"

    def message(payload: bytes, key: bytes | None, where: str = topic) -> Message:
        user = (("seal_ms", str(NOW_MS)),)
        return Message(where, payload, 1, False, CONTENT_TYPE, key, user)

    def under_key(data: bytes, draw: random.Random) -> str:
        payload = zstandard.ZstdCompressor(level=1).compress(data[:RAW_BYTES_MAX])
        key = BatchKey(EPOCH, draw.randrange(1, 2**53), digest(payload)).pack()
        _agree(data)
        return ingest.judge(message(payload, key))

    def as_it_came(data: bytes, draw: random.Random) -> str:
        true_key = BatchKey(EPOCH, draw.randrange(0, 2**60), digest(data)).pack()
        key = draw.choice((None, true_key, true_key, data[:32]))
        where = draw.choice((topic, topic, topic, data[:40].decode("latin-1")))
        return ingest.judge(message(data, key, where))

    payloads = [encode_batch(raw.decode().splitlines()) for raw in _lines()]
    return [
        Taker("batches", "lines", _lines(), under_key, mutated_text, 3.0),
        Taker("batches", "lines, by bytes", _lines(), under_key, mutated, 2.0),
        Taker("batches", "payload", payloads, as_it_came, mutated, 2.0),
    ]


def _agree(data: bytes) -> None:
    """A batch sorted out at once is as if line by line."""
    at_once = sort_out_at_once(data, GATEWAY, NOW_MS, LIMITS)
    if at_once is not None:
        slowly = sort_out(data[:-1].decode("ascii").split("\n"), GATEWAY, NOW_MS, LIMITS)
        if slowly.rejected or slowly.lines.text != at_once.lines.text:
            raise Broken("a batch at once isn't what its lines are")


def _status() -> Status:
    ledger = Ledger(9, {"range": 1}, 2, 1, 5, 2, 3, {"time": 1}, {"full": 1}, {"garbage": 4})
    links = (LinkStatus("rs485", "up", {"bay-2:timeout": 3}), LinkStatus("lora", "down", {}, "why"))
    return Status(GATEWAY, True, "0.3.0", NOW_MS, EPOCH.hex(), ledger, 3, 17, alarms=("cloned",),
                  links=links, card_life_used=0.25)  # fmt: skip


def _inventory() -> Inventory:
    place = Place(5.55, 95.32)
    bay = InventoryDevice("bay-1", "parking_spot", "bosch_tps110", "a", 600.0, 1560.0, place, "P 1")
    other = msgspec.structs.replace(bay, name="bin-1", kind="waste_container", place=None)
    return Inventory(GATEWAY, "pasar", 60.0, (bay, other), place, "Pasar")


def _messages() -> list[Taker]:
    said: list[msgspec.Struct] = [
        _status(),
        _inventory(),
        CloudTime(NOW_MS),
        Desired(3, '[gateway]\nname = "gw"\n', "0" * 32, "ops"),
        Applied(3, "0" * 32, ConfigurationState.REFUSED, "no"),
        Command("c-1", Ask.READ_NOW, NOW_MS, "bay-1", 1.5, "ops"),
        CommandResult("c-1", True, "bay-1: occupied 1"),
    ]
    confirm = Confirm(EPOCH, (Fate(1, b"12345678", 9), Fate(2, b"87654321", 1, {"time": 2}, 5.0)))
    seed = msgspec.msgpack.encode(confirm)
    return [
        *(
            _message(type(message), encode_message(message), pack_message(message))
            for message in said
        ),
        Taker("messages", "Confirm", [seed], _refusing(decode_confirm, BadMessage)),
    ]


def _watched() -> list[Taker]:
    """What the watch makes of a status and an inventory: points that any store can hold."""
    notes = [Note("e", n, NOW_MS - 60_000 * n, 13, n % 2) for n in (1, 2, 5, 9)]
    rates, registry = Rates(), Registry()

    def status(data: bytes, draw: random.Random) -> str:
        try:
            said = decode_message(data, Status)
        except BadMessage:
            return "refused"
        waiting_s = oldest_waiting_s(said, NOW_MS)
        fields = rates.hear(said, draw.uniform(0, 9e3), waiting_s)
        heard, inventory = Heard(said, 5.0), _inventory()
        facts = [
            gateway_fact(inventory, heard, NOW_MS, 6.0, fields),
            *device_facts(inventory, {"bay-1": NOW_MS - 5}, heard, NOW_MS, 6.0),
        ]
        mark = Mark.of(said)
        days, _ = account(notes, mark, [day_of(NOW_MS)])
        for start_ms, day in days.items():
            place, counted = (GATEWAY, GATEWAY, "s", "main"), fields_of(day, mark, 0)
            _storable([point(GATEWAY_COMPLETENESS, place, counted, start_ms)])
        _storable([fact.line(NOW_MS) for fact in facts])
        return "watched"

    def inventory(data: bytes, _draw: random.Random) -> str:
        try:
            said = decode_message(data, Inventory)
        except BadMessage:
            return "refused"
        if registry.announce(said, NOW_MS):
            return "not believed"
        _storable(registry_points(registry.inventories[said.gateway], NOW_MS))
        facts = device_facts(registry.inventories[said.gateway], {}, None, NOW_MS, 6.0)
        _storable([fact.line(NOW_MS) for fact in facts])
        return "watched"

    seeds = [encode_message(_status())], [encode_message(_inventory())]
    return [
        Taker("watched", "status", seeds[0], status, mutated_text, 2.0),
        Taker("watched", "inventory", seeds[1], inventory, mutated_text),
    ]


def _storable(lines: Sequence[str]) -> None:
    """Every store takes a whole number of 64 bits, and no infinite one."""
    for line in lines:
        if any(abs(int(text)) >= 2**63 for text in _WHOLE.findall(line)) or _ENDLESS.search(line):
            raise Broken(f"writes {line[:200]!r}")


_WHOLE, _ENDLESS = re.compile(r"=(-?[0-9]+)i"), re.compile(r"=-?(?:inf|nan)\b")


def _message(type_: type[msgspec.Struct], plain: bytes, packed: bytes) -> Taker:
    """One type; half of the inputs are packed after they were changed."""

    def take(data: bytes, draw: random.Random) -> str:
        if draw.random() < 0.3:
            data = zstandard.ZstdCompressor(level=1).compress(data)
        try:
            message = decode_message(data, type_)
        except BadMessage:
            return "refused"
        encode_message(message)
        return "decoded"

    def mutate(seeds: Sequence[bytes], draw: random.Random) -> bytes:
        if draw.random() < 0.2:
            return mutated([packed], draw)
        return mutated_text(seeds, draw)

    return Taker("messages", type_.__name__, [plain], take, mutate)


def _refusing(
    decode: Callable[[bytes], object], refusal: type[Exception]
) -> Callable[[bytes, random.Random], str]:
    def take(data: bytes, _draw: random.Random) -> str:
        try:
            decode(data)
        except refusal:
            return "refused"
        return "decoded"

    return take


def _packets() -> list[Taker]:
    key = BatchKey(EPOCH, 7, b"12345678").pack()
    user = (("seal_ms", str(NOW_MS)), ("more", "é"))
    sent = mqtt.publish(7, f"gampong/v1/{GATEWAY}/batch", b"payload" * 30, 30, False,
                        CONTENT_TYPE, key, user)  # fmt: skip
    plain = mqtt.publish(None, "gampong/v1/time", b'{"time_ms":1}')
    acks = mqtt.puback(7) + b"\x40\x03\x00\x07\x10" + b"\x90\x04\x00\x01\x00\x01" + b"\xd0\x00"
    connack = bytes.fromhex("00000b2100142700010000130064")
    greeting = b"\x20" + bytes((len(connack),)) + connack
    stream = greeting + acks + sent + plain + b"\xe0\x01\x8b"

    def flow(data: bytes, draw: random.Random) -> str:
        inbox, seen = Inbox(1000, 10_000_000), 0
        cuts = sorted(draw.randrange(len(data) + 1) for _ in range(draw.randrange(4)))
        try:
            for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
                for kind, body in inbox.feed(data[start:end]):
                    seen += 1
                    if kind == mqtt.CONNACK:
                        mqtt.read_connack(body)
                    elif kind == mqtt.PUBACK:
                        Flights().puback(body)
        except BadPacket:
            return "refused"
        seen += len(inbox.take())
        return "packets" if seen else "waits"

    def split_or_not(data: bytes, draw: random.Random) -> str:
        """Cut anywhere, the same messages come out."""
        whole, parts = Inbox(1000, 10_000_000), Inbox(1000, 10_000_000)
        cut = draw.randrange(len(data) + 1)
        try:
            others = whole.feed(data)
        except BadPacket:
            return "refused"
        if parts.feed(data[:cut]) + parts.feed(data[cut:]) != others:
            raise Broken("other packets when they come in two parts")
        if parts.take() != whole.take():
            raise Broken("other messages when they come in two parts")
        return "the same"

    return [
        Taker("mqtt", "stream", [stream, sent, greeting, acks, plain], flow, mutated, 3.0),
        Taker("mqtt", "cut anywhere", [stream, sent + acks, plain], split_or_not, mutated, 2.0),
        Taker("mqtt", "connack", [connack], _refusing(mqtt.read_connack, BadPacket)),
    ]


def _bundle() -> Taker:
    seed = encode_bundle(Bundle("gw", "pasar", "mqtt.kota.id", 8883, (b"a" * 90,), (b"b" * 90,)))

    def take(data: bytes, _draw: random.Random) -> str:
        try:
            decode_bundle(data.decode("utf-8", "replace"))
        except BadBundle:
            return "refused"
        return "decoded"

    return Taker("files", "bundle", [seed.encode()], take, mutated_text)
