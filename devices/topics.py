"""Messages of devices that publish on MQTT by themselves, without a network server.

In: topic and bytes of a message, and what the configuration says of the devices on it. Out: for
each device that is meant, the JSON that its field map reads. Never raises.

    json             any JSON value; a bare number (`17`) or word (`open`) is one too
    line_protocol    any number of points, each an object of its own (`line_points.py`)

A device is meant when its topic (`+` and `#` as in MQTT) fits, and every value that its `match`
names is in the message: for devices that share a topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from devices.envelope import MAX_SIZE
from devices.field_map import as_text, find
from devices.line_points import read_points

WORD_MAX = 64


class Listener(msgspec.Struct, frozen=True):
    """One device: which messages are its own."""

    device: str
    topic: str
    match: Mapping[str, str] = {}


class Heard(msgspec.Struct, frozen=True):
    """What a message holds: JSON by device, in order, and how many pieces of it were nobody's
    (`unmatched`) or nothing that can be read (`garbage`)."""

    messages: tuple[tuple[str, bytes], ...]
    unmatched: int = 0
    garbage: int = 0


def read_json(listeners: Sequence[Listener], topic: str, data: bytes) -> Heard:
    """A message that is one JSON value."""
    if len(data) > MAX_SIZE:
        return Heard((), garbage=1)
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError):  # ValueError: not JSON, not UTF-8
        word = _word(data)
        if not word:
            return Heard((), garbage=1)
        value, data = word, msgspec.json.encode(word)
    return _heard(listeners, topic, [(value, data)])


def read_lines(listeners: Sequence[Listener], topic: str, data: bytes) -> Heard:
    """A message of points in line protocol."""
    points, refused = read_points(data)
    pairs = [(point, msgspec.json.encode(point)) for point in points]
    heard = _heard(listeners, topic, pairs)
    return msgspec.structs.replace(heard, garbage=refused)


def fits(pattern: str, topic: str) -> bool:
    """Whether an MQTT topic filter takes this topic (MQTT 5, 4.7)."""
    if topic.startswith("$") and pattern[:1] in ("+", "#"):
        return False
    wanted, levels = pattern.split("/"), topic.split("/")
    for nth, word in enumerate(wanted):
        if word == "#":
            return True
        if nth >= len(levels) or word not in ("+", levels[nth]):
            return False
    return len(wanted) == len(levels)


def is_filter(pattern: str) -> bool:
    """Whether it is a topic filter that a broker takes."""
    words = pattern.split("/")
    good = all(word in ("+", "#") or not set(word) & {"+", "#", "\0"} for word in words)
    return bool(pattern) and len(pattern) <= 1000 and good and "#" not in words[:-1]


def _heard(listeners: Sequence[Listener], topic: str, values: Iterable[tuple[Any, bytes]]) -> Heard:
    near = [listener for listener in listeners if fits(listener.topic, topic)]
    messages: list[tuple[str, bytes]] = []
    unmatched = 0
    for value, data in values:
        meant = [one.device for one in near if _is_meant(one, value)]
        unmatched += not meant
        messages += [(device, data) for device in meant]
    return Heard(tuple(messages), unmatched)


def _is_meant(listener: Listener, value: Any) -> bool:
    return all(as_text(find(value, path)) == text for path, text in listener.match.items())


def _word(data: bytes) -> str:
    """A short plain word, as switches and counters publish it; "" for anything else."""
    if len(data) > WORD_MAX or not data.isascii():
        return ""
    word = data.decode().strip()
    return word if word.isprintable() else ""
