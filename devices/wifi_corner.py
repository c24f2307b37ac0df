"""What the drivers of access points share: one round of answers as JSON, the gateway's own probes.

In: a JSON object that a link put together. Out: its parts, typed; fields within the kind's bounds.

    "probe"  {"latency_ms": n, "loss_ratio": 0..1, "dns_ms": n, "portal": "open|portal|down"}

    latency_ms, dns_ms  null when nothing answered

A part that didn't answer is null. No part of the access point's: `up` is 0 and only the probe
speaks. A station's address is a person's: an error's detail never holds a part of the payload.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from devices.reading import Payload, Refusal, Undecodable, Value, Values, check_fields

KIND = "wifi_access_point"
MAX_SIZE = 1024 * 1024  # 200 stations take about 260 KiB
PROBED = ("latency_ms", "loss_ratio", "dns_ms", "portal")
_T = TypeVar("_T")


class Probe(msgspec.Struct):
    """What the gateway found itself."""

    latency_ms: float | None = None
    loss_ratio: float | None = None
    dns_ms: float | None = None
    portal: str | None = None


def read_answers(payload: Payload, decoder: msgspec.json.Decoder[_T]) -> _T:
    """The round's parts.

    Raises:
        Undecodable: `length`, or `format` when it isn't what the decoder takes.
    """
    if not 0 < len(payload.data) <= MAX_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(payload.data)} bytes")
    try:
        return decoder.decode(payload.data)
    except (ValueError, RecursionError):  # its message could name a station: not handed on
        raise Undecodable(Refusal.FORMAT, "not the answers of an access point") from None


def with_probe(fields: dict[str, Value], probe: Probe | None) -> Values:
    """One record of both, each field within its kind's bounds.

    Raises:
        Undecodable: `range`, `type` or `format`, naming the field and not the value.
    """
    if probe is not None:
        found = msgspec.structs.asdict(probe)
        fields |= {name: value for name, value in found.items() if value is not None}
    for name, value in fields.items():
        try:
            check_fields(KIND, {name: value})
        except Undecodable as error:
            raise Undecodable(error.reason, f"{name} can't be") from None
    return Values(fields)
