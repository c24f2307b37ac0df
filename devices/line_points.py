"""Line protocol, as another system publishes it: each point becomes a JSON object for a field map.

In: the bytes of a message. Out: a list of objects, and how many lines were none. Never raises.

    bins,id=7,zone=north level=42i,lid="open" 1790000000000000000

    {"measurement": "bins", "tags": {"id": "7", "zone": "north"},
     "fields": {"level": 42, "lid": "open"}, "time": 1790000000000000000}

`,`, `=`, space and backslash are escaped by a backslash in names, `"` and backslash in text. A line
that begins with # is a comment. A point without a time has none.
Source: docs.influxdata.com, line protocol reference. Not understood: text with a line feed in it.
"""

from __future__ import annotations

import re
from typing import Any

from devices.envelope import MAX_SIZE

POINTS_MAX = 1000
"""So many points of one message are read; the rest count as lines that are none."""

_MEASUREMENT = re.compile(r"(?:\\.|[^\\, ])+")
_NAME = re.compile(r"(?:\\.|[^\\,= ])+")
_TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
_BARE = re.compile(r"[^\", ]+")
_WHOLE = re.compile(r"([+-]?\d{1,20})[iu]", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_TIME = re.compile(r"-?\d{1,20}", re.ASCII)
_ESCAPED = re.compile(r"\\([,= \"\\])")
_TRUTH = {
    word: value
    for value, words in ((True, "t T true True TRUE"), (False, "f F false False FALSE"))
    for word in words.split()
}


class NoPoint(ValueError):
    """A line that is no point."""


def read_points(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The points of a message, and how many of its lines are none."""
    if len(data) > MAX_SIZE:
        return [], 1
    points: list[dict[str, Any]] = []
    refused = 0
    for line in data.decode(errors="replace").split("\n"):
        line = line.strip("\r ")
        if not line or line.startswith("#"):
            continue
        try:
            if len(points) >= POINTS_MAX:
                raise NoPoint
            points.append(read_point(line))
        except NoPoint:
            refused += 1
    return points, refused


def read_point(line: str) -> dict[str, Any]:
    """One point.

    Raises:
        NoPoint: it is none.
    """
    name, at = _take(_MEASUREMENT, line, 0)
    tags: dict[str, str] = {}
    while line[at : at + 1] == ",":
        key, at = _take(_NAME, line, at + 1)
        _expect(line, at, "=")
        tags[_plain(key)], at = _take(_NAME, line, at + 1)
    fields: dict[str, Any] = {}
    separator = " "
    while line[at : at + 1] == separator:
        key, at = _take(_NAME, line, at + 1)
        _expect(line, at, "=")
        fields[_plain(key)], at = _value(line, at + 1)
        separator = ","
    point: dict[str, Any] = {
        "measurement": _plain(name),
        "tags": {key: _plain(value) for key, value in tags.items()},
        "fields": fields,
    }
    if not fields:
        raise NoPoint
    if at < len(line):
        _expect(line, at, " ")
        time = _TIME.fullmatch(line, at + 1)
        if time is None or abs(int(time[0])) >= 2**63:
            raise NoPoint
        point["time"] = int(time[0])
    return point


def _value(line: str, at: int) -> tuple[Any, int]:
    if line[at : at + 1] == '"':
        text = _TEXT.match(line, at)
        if text is None:
            raise NoPoint
        return _plain(text[1]), text.end()
    word, at = _take(_BARE, line, at)
    if word in _TRUTH:
        return _TRUTH[word], at
    if (whole := _WHOLE.fullmatch(word)) and abs(int(whole[1])) < 2**63:
        return int(whole[1]), at
    if _FLOAT.fullmatch(word):
        return float(word), at
    raise NoPoint


def _take(pattern: re.Pattern[str], line: str, at: int) -> tuple[str, int]:
    match = pattern.match(line, at)
    if match is None:
        raise NoPoint
    return match[0], match.end()


def _expect(line: str, at: int, sign: str) -> None:
    if line[at : at + 1] != sign:
        raise NoPoint


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
