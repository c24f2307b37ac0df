"""Any access point of a public WiFi corner that speaks SNMP, with what the gateway finds there.

Link: SNMP v2c over UDP. The link asks IF-MIB and hands over one JSON object of numbers:

    {"interface": {"rx_bytes": ifHCInOctets, "tx_bytes": ifHCOutOctets}
     "system":    {"uptime_cs": sysUpTime, hundredths of a second}
     "clients":   {"count": the maker's counts of stations, added up}
     "probe":     devices/wifi_corner.py}

    rx_bytes, tx_bytes  64 bits; where an agent has only 32 (ifInOctets), the link has added what
                        wrapped since it began; they start again with the access point. One of
                        2**63 and more, which no store holds, is left out

No standard object counts stations: their oids come from the configuration. No address of a
station is asked for. Integrity: UDP's.
Sources: RFC 2863 (IF-MIB), RFC 3418 (sysUpTime), RFC 3416 (SNMP v2).
"""

from __future__ import annotations

import msgspec

from devices.driver import Driver, SnmpLink
from devices.kinds import INT64_HIGH
from devices.reading import Payload, Value, Values
from devices.wifi_corner import KIND, PROBED, Probe, read_answers, with_probe

CENTISECONDS = 100


class _Interface(msgspec.Struct):
    rx_bytes: int | None = None
    tx_bytes: int | None = None


class _System(msgspec.Struct):
    uptime_cs: int | None = None


class _Clients(msgspec.Struct):
    count: int


class _Answers(msgspec.Struct):
    interface: _Interface | None = None
    system: _System | None = None
    clients: _Clients | None = None
    probe: Probe | None = None


_ANSWERS = msgspec.json.Decoder(_Answers)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One round of questions to one record of counts."""
    answers = read_answers(payload, _ANSWERS)
    parts = (answers.interface, answers.system, answers.clients)
    fields: dict[str, Value] = {"up": int(any(part is not None for part in parts))}
    if answers.clients is not None:
        fields["clients"] = answers.clients.count
    for name in ("rx_bytes", "tx_bytes"):
        count = getattr(answers.interface, name, None)
        if count is not None and count <= INT64_HIGH:
            fields[name] = count
    if answers.system is not None and answers.system.uptime_cs is not None:
        fields["uptime_s"] = answers.system.uptime_cs / CENTISECONDS
    return (with_probe(fields, answers.probe),)


def encode(values: Values) -> Payload:
    """What the link would have put together of such an access point."""
    fields = values.fields
    answers: dict[str, object] = dict.fromkeys(("interface", "system", "clients"))
    if fields.get("up", 1) == 1:
        answers["interface"] = {
            name: fields[name] for name in ("rx_bytes", "tx_bytes") if name in fields
        }
        if "uptime_s" in fields:
            answers["system"] = {"uptime_cs": round(CENTISECONDS * float(fields["uptime_s"]))}
        if "clients" in fields:
            answers["clients"] = {"count": round(float(fields["clients"]))}
    answers["probe"] = {name: fields.get(name) for name in PROBED}
    return Payload(msgspec.json.encode(answers))


DRIVER = Driver(
    name="snmp_ap",
    vendor="various",
    models=("access point with SNMP v2c (IF-MIB)",),
    kind=KIND,
    link=SnmpLink(),
    decode=decode,
    encode=encode,
    raw_field="clients",
    resolution=1.0,
    heartbeat_s=60,
)
