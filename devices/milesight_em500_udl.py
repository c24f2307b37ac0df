"""Milesight EM500-UDL, EM410-RDL: the level sensors of devices/milesight_em400.py over water.

Link: LoRaWAN class A, port 85 unless configured otherwise (so the port isn't checked).
The messages are those of a bin's sensor, channel by channel (the table is there):

    | id | type | value ... | id | type | value ... |
    | 01 |  75  | 64        | 03 |  82  | 1E 00     |   100 %, 30 mm

    01 75     1  battery          u8, %
    03 82     2  distance         u16, mm       (EM410: 04 82)
    83 E9     5  distance, change u16, alarm u8          EM500
    94 82     5  distance, change i16, alarm u8          EM410
    20 CE     6  history: time u32, distance             EM500; EM410's has eleven bytes

A river has no lid, fire or filling, so `status` and `filling_level` are left out; the level follows
from the distance and the gauge's zero (`container` in the gateway's configuration). The same
product in a tank or a bin takes the driver `milesight_em400`: what it measures decides.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: Milesight EM500-UDL and EM410-RDL user guides ("river, reservoir"), payload as in
github.com/Milesight-IoT/SensorDecoders em-series/em500-udl and em410-rdl.
Heartbeat: 10 minutes, the EM500's reporting interval as delivered (user guide, 4.2).
"""

from __future__ import annotations

import msgspec

from devices import milesight_em400
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Values

NOT_OF_WATER = ("status", "filling_level")


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its history, then what is now; to nothing when it only tells of the device."""
    told = (_of_water(values) for values in milesight_em400.decode(payload))
    return tuple(values for values in told if values.fields)


def _of_water(values: Values) -> Values:
    fields = {name: said for name, said in values.fields.items() if name not in NOT_OF_WATER}
    return msgspec.structs.replace(values, fields=fields)


def encode(values: Values) -> Payload:
    """What an EM410-RDL sends; EM500's history for values with a time."""
    return milesight_em400.encode(values)


DRIVER = Driver(
    name="milesight_em500_udl",
    vendor="Milesight",
    models=("EM500-UDL", "EM410-RDL"),
    kind="water_level",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=600,
)
