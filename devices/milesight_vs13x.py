"""Milesight VS132, VS133, VS135: depth cameras over a door that count who passes a line.

Link: LoRaWAN class C, port 85 unless configured otherwise. A row of channels
(devices/milesight.py), values little-endian; each of up to four lines has three ids:

    | 03 D2 | in u32      | 04 D2 | out u32     | 05 CC | in u16 | out u16 |   line 1
    | 03 D2 | BE 00 00 00 | 04 D2 | 31 01 00 00 | 05 CC | 00 00  | 00 00   |   190 in, 305 out

    03, 04, 05 line 1   06, 07, 08 line 2   09, 0A, 0B line 3   0C, 0D, 0E line 4
    D2     4  people in, or out, ever
    CC     4  people in and out since the last report
    0F E3  4  people in four regions                         skipped: a region isn't a device
    10 E4  5  dwell                                          skipped
    11..1C, 1D E3, 1E E4   children, the same once more      skipped: they are in the counts
    50 FC  3  something stands before a camera               skipped
    20 CE  9  history: time u32, the id of the channel it would have come on, its four bytes;
              10 and 20 are dwell and hold three                              what's skipped above

    time  Unix time in seconds; a line's records of one time are one reading

Line 1 is the device itself; the others are its channels "2", "3" and "4".
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/Milesight-IoT/SensorDecoders vs-series/vs132, vs133, vs135 (README, decoder);
github.com/TheThingsNetwork/lorawan-devices vs133-codec.yaml.
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.driver import Driver, LorawanLink
from devices.milesight import INFORMATION, PORT, add_information, channels, pair, say_information
from devices.reading import Payload, Value, Values

LINES = {1: "", 2: "2", 3: "3", 4: "4"}
CHANNEL_IDS = {
    first + 3 * (line - 1): (channel, what)
    for line, channel in LINES.items()
    for first, what in ((3, "in"), (4, "out"), (5, "period"))
}
RECORD_SIZE, DWELL_RECORD_SIZE = 9, 8
DWELL = (0x10, 0x20)
RECORDS = (*range(0x03, 0x20), 0x20, 0x21)


def _record_size(rest: bytes) -> int:
    if len(rest) < DWELL_RECORD_SIZE or rest[4] not in RECORDS:
        return 0
    return DWELL_RECORD_SIZE if rest[4] in DWELL else RECORD_SIZE


CHANNELS = {
    **INFORMATION,
    **{
        bytes((id_, 0xCC if what == "period" else 0xD2)): (f"{what}{channel}", 4)
        for id_, (channel, what) in CHANNEL_IDS.items()
    },
    **{
        bytes((id_, 0xCC if (id_ - 0x11) % 3 == 2 else 0xD2)): ("children", 4)
        for id_ in range(0x11, 0x1D)
    },
    b"\x0f\xe3": ("regions", 4),
    b"\x1d\xe3": ("children", 4),
    b"\x10\xe4": ("dwell", 5),
    b"\x1e\xe4": ("children", 5),
    b"\x50\xfc": ("covered", 3),
    b"\x20\xce": ("history", _record_size),
}
WORDS = {f"{what}{channel}": (channel, what) for channel, what in CHANNEL_IDS.values()}


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to a reading for each line, and for each line's time in its history."""
    readings: dict[tuple[int | None, str], dict[str, Value]] = {}
    information: dict[str, Value] = {}
    for word, value in channels(payload.data, CHANNELS):
        if word == "history":
            channel, what = CHANNEL_IDS.get(value[4], ("", ""))
            time_ms, counted = int.from_bytes(value[:4], "little") * 1000, value[5:]
            if what:
                _count(readings.setdefault((time_ms, channel), {}), what, counted)
        elif word in WORDS:
            channel, what = WORDS[word]
            _count(readings.setdefault((None, channel), {}), what, value)
        else:
            add_information(information, word, value)
    if information:
        readings.setdefault((None, ""), {}).update(information)
    return tuple(Values(fields, time, channel) for (time, channel), fields in readings.items())


def _count(fields: dict[str, Value], what: str, value: bytes) -> None:
    if what == "period":
        fields["period_in"], fields["period_out"] = pair(value)
    else:
        fields[f"people_{what}"] = int.from_bytes(value, "little")


def encode(values: Values) -> Payload:
    """A report of one line; for values with a time, its history."""
    fields, said = values.fields, b""
    for id_, (channel, what) in CHANNEL_IDS.items():
        names = ("period_in", "period_out") if what == "period" else (f"people_{what}",)
        if channel != values.channel or names[0] not in fields:
            continue
        size = 4 // len(names)
        counted = b"".join(int(fields[name]).to_bytes(size, "little") for name in names)
        if values.time_ms is None:
            said += bytes((id_, 0xCC if what == "period" else 0xD2)) + counted
        else:
            time = (values.time_ms // 1000).to_bytes(4, "little")
            said += b"\x20\xce" + time + bytes((id_,)) + counted
    return Payload(say_information(fields) + said, PORT)


DRIVER = Driver(
    name="milesight_vs13x",
    vendor="Milesight",
    models=("VS132", "VS133", "VS135"),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="people_in",
    resolution=1.0,
    heartbeat_s=600,
)
