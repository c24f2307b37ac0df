"""MikroTik access point of a public WiFi corner, with what the gateway itself finds there.

Link: RouterOS 7's REST over HTTP. The link asks and hands over one JSON object of the answers:

    {"system":        /rest/system/resource       {"uptime": "2d20h12m20s", ...}
     "registrations": registration tables         [[{"interface": "wifi1", "ap": "false"}, ...]]
     "interfaces":    /rest/interface             [{"name": "bridge", "rx-byte": "n", ...}, ...]
     "asked":         what was configured         {"interface": "", "network_device": "bridge"}
     "probe":         devices/wifi_corner.py}

    clients             rows of the tables (wifi, wireless, CAPsMAN) that are no access points,
                        of that interface when one is named
    rx_bytes, tx_bytes  the network device's counters; they start again with the access point
    uptime              weeks, days, hours, minutes, seconds: 1w2d3h4m5s

Every value is text, numbers too; a number or a truth value (the API's form) is taken as well. The
link asks for `interface` and `ap` alone, so no station's address leaves the access point; what
comes nevertheless is passed over. Integrity: TCP's.
Sources: help.mikrotik.com, "REST API" (resource as answered, .proplist); registration table and
byte counters as in home-assistant/core tests/components/mikrotik.
"""

from __future__ import annotations

import re

import msgspec

from devices.driver import Driver, RouterosLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values
from devices.wifi_corner import KIND, PROBED, Probe, read_answers, with_probe

Said = str | int | bool
_UPTIME = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:\d+ms)?")
_UNITS_S = (604_800, 86_400, 3600, 60, 1)
_NUMBER = re.compile(r"\d{1,20}")


class _Row(msgspec.Struct):
    interface: str = ""
    ap: Said = False


class _Interface(msgspec.Struct):
    name: str
    rx_byte: Said | None = msgspec.field(name="rx-byte", default=None)
    tx_byte: Said | None = msgspec.field(name="tx-byte", default=None)


class _System(msgspec.Struct):
    uptime: str | None = None


class _Asked(msgspec.Struct):
    interface: str = ""
    network_device: str = ""


class _Answers(msgspec.Struct):
    system: _System | list[_System] | None = None
    registrations: list[list[_Row]] | None = None
    interfaces: list[_Interface] | None = None
    asked: _Asked | None = None
    probe: Probe | None = None


_ANSWERS = msgspec.json.Decoder(_Answers)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One round of questions to one record of counts."""
    answers = read_answers(payload, _ANSWERS)
    asked = answers.asked or _Asked()
    parts = (answers.system, answers.registrations, answers.interfaces)
    fields: dict[str, Value] = {"up": int(any(part is not None for part in parts))}
    if answers.registrations is not None:
        rows = [row for table in answers.registrations for row in table]
        fields["clients"] = sum(
            str(row.ap).lower() != "true" and asked.interface in ("", row.interface) for row in rows
        )
    for one in answers.interfaces or ():
        if asked.network_device in ("", one.name):
            _add_count(fields, "rx_bytes", one.rx_byte)
            _add_count(fields, "tx_bytes", one.tx_byte)
    system = answers.system
    if isinstance(system, list):
        system = system[0] if system else None
    if system is not None and system.uptime is not None:
        fields["uptime_s"] = _seconds(system.uptime)
    return (with_probe(fields, answers.probe),)


def _add_count(fields: dict[str, Value], name: str, said: Said | None) -> None:
    if said is None:
        return
    if isinstance(said, bool) or _NUMBER.fullmatch(str(said)) is None:
        raise Undecodable(Refusal.FORMAT, f"{name} isn't a number")
    fields[name] = int(said) + int(fields.get(name, 0))


def _seconds(uptime: str) -> float:
    found = _UPTIME.fullmatch(uptime)
    if not uptime or found is None:
        raise Undecodable(Refusal.FORMAT, "an uptime of another form")
    return float(sum(int(n or 0) * unit for n, unit in zip(found.groups(), _UNITS_S, strict=True)))


def encode(values: Values) -> Payload:
    """The answers of an access point with that many stations."""
    fields = values.fields
    up = fields.get("up", 1) == 1
    answers: dict[str, object] = dict.fromkeys(("system", "registrations", "interfaces"))
    if up:
        uptime_s = fields.get("uptime_s")
        answers["system"] = {} if uptime_s is None else {"uptime": _uptime(float(uptime_s))}
        if "clients" in fields:
            row = {"interface": "wifi1", "ap": "false"}
            answers["registrations"] = [[row] * int(fields["clients"])]
        counted = {
            f"{way}-byte": str(fields[f"{way}_bytes"])
            for way in ("rx", "tx")
            if f"{way}_bytes" in fields
        }
        if counted:
            answers["interfaces"] = [{"name": "bridge", "running": "true", **counted}]
    answers["asked"] = {"interface": "", "network_device": "bridge"}
    answers["probe"] = {name: fields.get(name) for name in PROBED}
    return Payload(msgspec.json.encode(answers))


def _uptime(seconds: float) -> str:
    text, left = "", round(seconds)
    for letter, unit in zip("wdhms", _UNITS_S, strict=True):
        count, left = divmod(left, unit)
        text += f"{count}{letter}" if count else ""
    return text or "0s"


DRIVER = Driver(
    name="mikrotik_routeros",
    vendor="MikroTik",
    models=("RouterOS 7 over REST",),
    kind=KIND,
    link=RouterosLink(),
    decode=decode,
    encode=encode,
    raw_field="clients",
    resolution=1.0,
    heartbeat_s=60,
)
