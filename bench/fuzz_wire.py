"""What gateways and the cloud say to each other, for `bench.fuzz`: every message, bundles, MQTT's
packets in both directions. Batches are `fuzz_batches`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import msgspec
import zstandard

from bench.fuzz_batches import EPOCH, GATEWAY, NOW_MS
from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzzing import Broken, Taker, as_text, refusing
from ingest.account_points import fields_of
from ingest.completeness import Mark, Note, account, day_of
from ingest.health import (
    Heard,
    device_facts,
    gateway_fact,
    oldest_waiting_s,
    point,
)
from ingest.places import registry_points
from ingest.rates import Rates
from ingest.registry import Registry
from ingest.stores.kinds import GATEWAY_COMPLETENESS
from wire import messages, mqtt, remote
from wire.batch import CONTENT_TYPE, BatchKey
from wire.bundle import BadBundle, Bundle, decode_bundle, encode_bundle
from wire.messages import BadMessage, Fate, Inventory, Status, decode_message, encode_message
from wire.mqtt import BadPacket
from wire.mqtt_flow import Flights, Inbox


def takers() -> list[Taker]:
    """All of them."""
    return [*_messages(), *_watched(), *_packets(), _bundle()]


def _status() -> Status:
    ledger = messages.Ledger(
        9, {"range": 1}, 2, 1, 5, 2, 3, {"time": 1}, {"full": 1}, {"garbage": 4}
    )
    links = (
        messages.LinkStatus("rs485", "up", {"bay-2:timeout": 3}),
        messages.LinkStatus("lora", "down", {}, "why"),
    )
    return Status(GATEWAY, True, "0.3.0", NOW_MS, EPOCH.hex(), ledger, 3, 17, alarms=("cloned",),
                  links=links, card_life_used=0.25)  # fmt: skip


def _inventory() -> Inventory:
    place = messages.Place(5.55, 95.32)
    bay = messages.InventoryDevice(
        "bay-1", "parking_spot", "bosch_tps110", "a", 600.0, 1560.0, place, "P 1"
    )
    other = msgspec.structs.replace(bay, name="bin-1", kind="waste_container", place=None)
    return Inventory(GATEWAY, "pasar", 60.0, (bay, other), place, "Pasar")


def _messages() -> list[Taker]:
    said: list[msgspec.Struct] = [
        _status(),
        _inventory(),
        messages.CloudTime(NOW_MS),
        remote.Desired(3, '[gateway]\nname = "gw"\n', "0" * 32, "ops"),
        remote.Applied(3, "0" * 32, remote.ConfigurationState.REFUSED, "no"),
        remote.Command("c-1", remote.Ask.READ_NOW, NOW_MS, "bay-1", 1.5, "ops"),
        remote.CommandResult("c-1", True, "bay-1: occupied 1"),
    ]
    confirm = messages.Confirm(
        EPOCH, (Fate(1, b"12345678", 9), Fate(2, b"87654321", 1, {"time": 2}, 5.0))
    )
    seed = msgspec.msgpack.encode(confirm)
    return [
        *(
            _message(type(message), encode_message(message), messages.pack_message(message))
            for message in said
        ),
        Taker("messages", "Confirm", [seed], refusing(messages.decode_confirm, BadMessage)),
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
        fields = _TEXT.sub('""', line.partition(" ")[2])  # a tag or a text may say anything
        if any(abs(int(text)) >= 2**63 for text in _WHOLE.findall(fields)) or _ENDLESS.search(
            fields
        ):
            raise Broken(f"writes {line[:200]!r}")


_WHOLE, _ENDLESS = re.compile(r"=(-?[0-9]+)i"), re.compile(r"=-?(?:inf|nan)\b")
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"')


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
        Taker("mqtt", "connack", [connack], refusing(mqtt.read_connack, BadPacket)),
    ]


def _bundle() -> Taker:
    seed = encode_bundle(Bundle("gw", "pasar", "mqtt.kota.id", 8883, (b"a" * 90,), (b"b" * 90,)))
    take = refusing(lambda data: decode_bundle(as_text(data)), BadBundle)
    return Taker("files", "bundle", [seed.encode()], take, mutated_text)
