"""Silence as a value: each minute, what every registered device and gateway is.

In: inventories, statuses with the moment each came, and the newest reading's time of each device.
Out: `device_health` and `gateway_health` as facts, which rules judge and lines are made of. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from devices.kinds import TEXT_ALPHABET, TEXT_LENGTH, Kind
from devices.reading import Value
from ingest.rules.standing import Place
from ingest.stores.kinds import (
    CLOUD_KINDS,
    DEVICE_HEALTH,
    DROPPED_FOR,
    GATEWAY_HEALTH,
)
from wire.line import format_fields
from wire.messages import Inventory, InventoryDevice, Status

OFFLINE_AFTER_S = 180.0
"""Wall seconds without a status after which a gateway counts as offline."""

AGE_MAX_S = 1e9
_OUTSIDE = re.compile(rf"[^{TEXT_ALPHABET}]")


class Fact(msgspec.Struct, frozen=True):
    """A point of the watch's own, at the minute of its round. `kind` is the device's, where it is
    about one."""

    source: str
    place: Place
    fields: dict[str, Value]
    kind: str = ""

    def line(self, time_ms: int) -> str:
        """The fact as a line."""
        place = self.place
        tags = (place.device, place.gateway, place.site, place.zone)
        return point(CLOUD_KINDS[self.source], tags, self.fields, time_ms)


class Heard(msgspec.Struct, frozen=True):
    """A gateway's last status and the wall second (`Clock.monotonic`) it came."""

    status: Status
    at_s: float


def gateway_online(heard: Heard | None, now_s: float) -> bool:
    """Whether the gateway said within three minutes that it is there."""
    return heard is not None and heard.status.online and now_s - heard.at_s < OFFLINE_AFTER_S


def device_state(device: InventoryDevice, age_s: float, online: bool, waiting_age_s: float) -> str:
    """What the device's age means, the mildest explanation that holds first."""
    if device.maintenance:
        return "maintenance"
    if age_s <= device.expiry_s:
        return "ok"
    if not online:
        return "gateway_offline"
    return "delayed" if waiting_age_s > device.expiry_s else "silent"


def point(
    kind: Kind,
    place: tuple[str, str, str, str],
    fields: dict[str, Value],
    time_ms: int,
) -> str:
    """A line with all four tags; `place` is device, gateway, site, zone."""
    fields = {name: _within(kind, name, value) for name, value in fields.items()}
    device, gateway, site, zone = place
    tags = f"device={device},gateway={gateway},site={site},zone={zone}"
    return f"{kind.name},{tags} {format_fields(kind, fields)} {time_ms}"


def _within(kind: Kind, name: str, value: Value) -> Value:
    """A number within its field's bounds: sums of what a gateway says of itself may be anything,
    and a store that can't hold one of them would refuse the others' too."""
    field = kind.fields.get(name)
    if field is None or isinstance(value, str) or field.low == field.high:
        return value
    if field.low <= value <= field.high:
        return value
    bound = field.low if value < field.low else field.high
    return int(bound) if isinstance(value, int) else bound


def device_facts(
    inventory: Inventory,
    newest_ms: Mapping[str, int],
    heard: Heard | None,
    now_ms: int,
    now_s: float,
    shows: Mapping[str, str] = {},
    first_ms: Mapping[str, int] = {},
) -> list[Fact]:
    """`device_health` of every device of one gateway; `shows` is what a page shows of each.

    One that was never heard is silent at once, since a sensor speaks when it is switched on; not
    so those in `first_ms` (`RegistryFile`), whose silence begins when they were announced.
    """
    online = gateway_online(heard, now_s)
    waiting_ms = heard.status.oldest_waiting_ms if heard else 0
    waiting_age_s = (now_ms - waiting_ms) / 1000 if waiting_ms else 0.0
    errors = read_errors(heard.status) if heard else {}
    facts = []
    for device in inventory.devices:
        newest = newest_ms.get(device.name)
        age_s = _age_s(newest, now_ms)
        quiet_s = _age_s(first_ms.get(device.name) if newest is None else newest, now_ms)
        fields: dict[str, Value] = {
            "age_s": round(age_s, 3),
            "state": device_state(device, quiet_s, online, waiting_age_s),
            "kind": clean_text(device.kind),
        }
        if device.name in shows:
            fields["shows"] = shows[device.name]
        if device.name in errors:
            fields["read_errors"] = errors[device.name]
        place = Place(device.name, inventory.gateway, inventory.site, device.zone)
        facts.append(Fact(DEVICE_HEALTH.name, place, fields, device.kind))
    return facts


def _age_s(time_ms: int | None, now_ms: int) -> float:
    return AGE_MAX_S if time_ms is None else max(0.0, (now_ms - time_ms) / 1000)


def read_errors(status: Status) -> dict[str, int]:
    """Device → its failed reads since the agent started, of links that count by device (a bus's
    errors are named `device:reason`)."""
    errors: Counter[str] = Counter()
    for link in status.links:
        for name, number in link.errors.items():
            device, colon, _ = name.partition(":")
            if colon:
                errors[device] += max(0, number)
    return errors


def oldest_waiting_s(status: Status, now_ms: int) -> float:
    """Age of the oldest reading that waits on the gateway; 0 when none does."""
    waiting_ms = status.oldest_waiting_ms
    return max(0.0, (now_ms - waiting_ms) / 1000) if waiting_ms else 0.0


def certificate_state(alarms: Sequence[str]) -> str:
    """What a gateway's alarms say of its certificate, `ok` without any (`edge/renewal.py`)."""
    if "certificate_over" in alarms:
        return "over"
    return "ending" if "certificate_ending" in alarms else "ok"


def gateway_fact(
    inventory: Inventory,
    heard: Heard | None,
    now_ms: int,
    now_s: float,
    rates: Mapping[str, Value] = {},
) -> Fact:
    """`gateway_health` of one gateway; without any status yet it says offline and no more.
    `rates` are the fields of `ingest.rates`."""
    fields: dict[str, Value] = {"online": int(gateway_online(heard, now_s))}
    if heard is not None:
        status, ledger = heard.status, heard.status.ledger
        fields |= {
            "age_s": round(now_s - heard.at_s, 3),
            "waiting": ledger.waiting,
            "oldest_waiting_s": oldest_waiting_s(status, now_ms),
            "accepted": ledger.accepted,
            "stored": ledger.stored,
            "refused": sum(ledger.refused.values()),
            "rejected": sum(ledger.rejected.values()),
            "dropped": sum(ledger.dropped.values()),
            **{f"dropped_{reason}": ledger.dropped.get(reason, 0) for reason in DROPPED_FOR},
            "balanced": int(ledger.balanced),
            "outbox_bytes": status.outbox_bytes,
            "outbox_share": min(1.0, status.outbox_bytes / max(1, status.outbox_bytes_max)),
            "parked": status.parked,
            "gaps": ledger.gaps,
            "clock": clean_text(status.clock),
            "version": clean_text(status.version),
        }
        if status.online:  # a last will knows only the alarms of when it was left
            fields["certificate"] = certificate_state(status.alarms)
    gateway = inventory.gateway
    place = Place(gateway, gateway, inventory.site, "main")
    return Fact(GATEWAY_HEALTH.name, place, {**fields, **rates})


def clean_text(text: str) -> str:
    """A gateway's text within the alphabet and length of a text field."""
    return _OUTSIDE.sub(" ", text)[:TEXT_LENGTH]
