"""Dingtek DC500, DC510, DC520: counters of people who pass a door.

Link: LoRaWAN class A, port 3, in Dingtek's frame (devices/dingtek.py). Numbers are big-endian.

    DC500  21 bytes  | frame | people u16 | count,battery | 0 | volts u16 | .. | 81 |
                     | .. 15 | 01 01      | 01            | 0 | 01 6F     | .. | 81 |   257, 3.67 V
    DC510  18 bytes  | frame | people u16 | 0 | celsius | 0 0 | count,0 | 0,battery | volts u16 |
                     | .. | 81 |
    DC520  19 bytes  | frame | balance u16 | in u16 | out u16 | balance,in | out,battery | u16 |
                     | error | .. | 81 |
    12, 13 or 18 bytes of type 3: settings, of which only the firmware is told

    count, balance, in, out   alarms over a set threshold: an event
    battery                   a low battery, told as `quality`
    volts                     0.01 V; in DC520 its example holds 5 and no unit is known: skipped

`people_count` is the sensor's own counter, DC520's the balance of in and out.
Integrity is the LoRaWAN message code, checked by the network server, and the frame's own size.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/dingtek dc500, dc510, dc520 (decoders,
examples); no second source found. The DC510's settings in it start with 50, eighty written in
decimal where 80 hex is meant: both are taken.
Heartbeat: 4 hours, the settings in the examples.
"""

from __future__ import annotations

from devices import dingtek
from devices.bounds import bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Value, Values

DC500, DC510, DC520 = 21, 18, 19  # each model's size
SETTINGS_SIZES = (12, 13, 18)
PRODUCT_OF = {DC500: 0x02, DC510: 0x15, DC520: 0x52}
HEADS = (dingtek.HEAD, 0x50)
LOW_C, HIGH_C = -60, 127
HIGH_CV = 1000  # hundredths of a volt


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one count."""
    data = dingtek.opened(payload, (*SETTINGS_SIZES, DC500, DC520), HEADS)
    if data[3] == dingtek.SETTINGS:
        return dingtek.firmware(data)
    sized(data, DC500, DC510, DC520)
    fields: dict[str, Value] = {"people_count": unsigned(data[5:7])}
    if len(data) == DC520:
        fields["people_in"], fields["people_out"] = unsigned(data[7:9]), unsigned(data[9:11])
        alarm, low = data[11] or data[12] & 0xF0, data[12]
    elif len(data) == DC510:
        fields["temperature_c"] = float(bounded(signed(data[8:9]), LOW_C, HIGH_C, "°C"))
        fields["battery_v"] = _volts(data[13:15])
        alarm, low = data[11] & 0xF0, data[12]
    else:
        fields["battery_v"] = _volts(data[9:11])
        alarm, low = data[7] & 0xF0, data[7]
    if low & dingtek.BATTERY_LOW:
        fields["quality"] = "battery_low"
    return (Values(fields, event=bool(alarm)),)


def _volts(data: bytes) -> float:
    return bounded(unsigned(data), 0, HIGH_CV, "hundredths of V") / 100


def encode(values: Values) -> Payload:
    """A DC520's message when there is an in and out, a DC510's with a temperature, else DC500's."""
    fields = values.fields
    if "firmware" in fields:
        return dingtek.say_firmware(PRODUCT_OF[DC500], str(fields["firmware"]), SETTINGS_SIZES[0])
    people, in_, out = (
        int(fields.get(name, 0)).to_bytes(2, "big")
        for name in ("people_count", "people_in", "people_out")
    )
    volts = round(100 * float(fields.get("battery_v", 0.0))).to_bytes(2, "big")
    alarm, low = values.event << 4, int(fields.get("quality") == "battery_low")
    if "people_in" in fields:
        model, body = DC520, people + in_ + out + bytes((alarm, low)) + bytes(5)
    elif "temperature_c" in fields:
        celsius = round(float(fields["temperature_c"])).to_bytes(1, "big", signed=True)
        body = people + b"\0" + celsius + bytes((0, 0, alarm, low)) + volts + bytes(2)
        model = DC510
    else:
        model, body = DC500, people + bytes((alarm | low, 0)) + volts + bytes(9)
    return dingtek.sealed(PRODUCT_OF[model], dingtek.REPORT, body)


DRIVER = Driver(
    name="dingtek_dc5",
    vendor="Dingtek",
    models=("DC500", "DC510", "DC520"),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="people_count",
    resolution=1.0,
    heartbeat_s=14_400,
)
