"""Milesight VS121: a camera that counts the people in a room or a square, on the device itself.

Link: LoRaWAN class C, port 85 unless configured otherwise. A row of channels
(devices/milesight.py), values little-endian:

    | 04 C9 | all | regions | which u16 |   | 06 CD | most |
    | 04 C9 | 03  | 08      | 00 A1     |   | 06 CD | 05   |   3 people now, 5 at most

    04 C9  4  people now: all u8, number of regions u8, which regions have somebody
    05 CC  4  in u16, out u16 since the last report
    0D CC  4  in u16, out u16, ever
    06 CD  1  most people at once since the last report
    07 D5, 08 D5  8   people in each region              skipped: a region isn't a device
    09 DA .. 0C DA 8  flows between four sides           skipped
    0E E4  5  dwell, 0F 85 4 time, 10 F7 4 line in, out  skipped
    20 CE     history: time u32, what u8, then for 01 as 04 C9, 02 as 05 CC, 03 as 06 CD, 10 as
              0D CC; 04..0F and 12 hold 4 bytes and 11 holds 5, all skipped

    time  Unix time in seconds; records of one time are one reading

Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/Milesight-IoT/SensorDecoders vs-series/vs121 (README, decoder);
github.com/TheThingsNetwork/lorawan-devices vs121-codec.yaml. The two read the regions' bits in
opposite order; both agree on the count, and the bits aren't used here. 05 CC is signed in the
vendor's decoder for no reason a count could have: unsigned here, as in its own history.
Not understood: whether 10 F7 counts the people of 05 CC once more.
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from devices.driver import Driver, LorawanLink
from devices.milesight import INFORMATION, PORT, add_information, channels, pair, say_information
from devices.reading import Payload, Value, Values

NOW, PERIOD, MOST, EVER = 1, 2, 3, 0x10  # what a history record holds
RECORD_SIZES = {**dict.fromkeys(range(1, 0x13), 4), MOST: 1, 0x11: 5}
RECORD_HEAD = 5


def _record_size(rest: bytes) -> int:
    if len(rest) < RECORD_HEAD or rest[4] not in RECORD_SIZES:
        return 0
    return RECORD_HEAD + RECORD_SIZES[rest[4]]


CHANNELS = {
    **INFORMATION,
    b"\x04\xc9": ("now", 4),
    b"\x05\xcc": ("period", 4),
    b"\x06\xcd": ("most", 1),
    b"\x0d\xcc": ("ever", 4),
    b"\x07\xd5": ("regions", 8),
    b"\x08\xd5": ("regions", 8),
    **{bytes((side, 0xDA)): ("flows", 8) for side in range(0x09, 0x0D)},
    b"\x0e\xe4": ("dwell", 5),
    b"\x0f\x85": ("time", 4),
    b"\x10\xf7": ("line", 4),
    b"\x20\xce": ("history", _record_size),
}
WORDS = {NOW: "now", PERIOD: "period", MOST: "most", EVER: "ever"}


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to a reading for each time in its history, then one for now."""
    fields: dict[str, Value] = {}
    history: dict[int, dict[str, Value]] = {}
    for channel, value in channels(payload.data, CHANNELS):
        if channel == "history":
            record: dict[str, Value] = {}
            _count(record, WORDS.get(value[4], ""), value[RECORD_HEAD:])
            if record:
                time_s = int.from_bytes(value[:4], "little")
                history.setdefault(time_s, {}).update(record)
        elif not add_information(fields, channel, value):
            _count(fields, channel, value)
    now = (Values(fields),) if fields else ()
    return (*(Values(past, time_s * 1000) for time_s, past in history.items()), *now)


def _count(fields: dict[str, Value], channel: str, value: bytes) -> None:
    match channel:
        case "now":
            fields["people_count"] = value[0]
        case "most":
            fields["people_count_max"] = value[0]
        case "period":
            fields["period_in"], fields["period_out"] = pair(value)
        case "ever":
            fields["people_in"], fields["people_out"] = pair(value)


def encode(values: Values) -> Payload:
    """A report; for values with a time, its history."""
    if values.time_ms is None:
        ids = {NOW: b"\x04\xc9", PERIOD: b"\x05\xcc", MOST: b"\x06\xcd", EVER: b"\x0d\xcc"}
        said = say_information(values.fields)
    else:
        time = (values.time_ms // 1000).to_bytes(4, "little")
        ids = {what: b"\x20\xce" + time + bytes((what,)) for what in WORDS}
        said = b""
    for what, value in _said(values.fields).items():
        said += ids[what] + value
    return Payload(said, PORT)


def _said(fields: Mapping[str, Value]) -> dict[int, bytes]:
    said: dict[int, bytes] = {}
    if "people_count" in fields:
        said[NOW] = bytes((int(fields["people_count"]), 0, 0, 0))
    for what, names in {
        PERIOD: ("period_in", "period_out"),
        EVER: ("people_in", "people_out"),
    }.items():
        if names[0] in fields:
            said[what] = b"".join(int(fields[name]).to_bytes(2, "little") for name in names)
    if "people_count_max" in fields:
        said[MOST] = bytes((int(fields["people_count_max"]),))
    return said


DRIVER = Driver(
    name="milesight_vs121",
    vendor="Milesight",
    models=("VS121",),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="people_count",
    resolution=1.0,
    heartbeat_s=600,
)
