"""Decentlab DL-LID, DL-LID2: laser level of bins, tanks and snow, a hundred samples each time.

Link: LoRaWAN class A, port 1, in Decentlab's frame (devices/decentlab.py). Numbers are big-endian.

    | 02 | device | flags | average | least | most | median | 10 | 25 | 75 | 90 | most frequent |
         | samples | time | battery |                            DL-LID2: | samples | time | all |

    average ..  mm; 10 to 90 are percentiles
    samples     valid ones; 0: nothing reflects
    time        of the measurement, 1.024 a millisecond
    battery     mV

Of the distances the median is told: one leaf in the beam doesn't move it.
A distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/decentlab/decentlab-decoders DL-LID, DL-LID2;
github.com/TheThingsNetwork/lorawan-devices dl-lid-codec.yaml.
Heartbeat: 10 minutes, as delivered.
"""

from __future__ import annotations

from devices import decentlab
from devices.bounds import add_distance
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Value, Values

MEASURED_SIZES = (11, 12)
DISTANCES = 9
MEDIAN, SAMPLES = 3, 9  # places in the group
SAMPLES_ASKED = 100
HIGH_MM = 20_000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it holds no group."""
    measured, volts = decentlab.groups(payload.data, MEASURED_SIZES)
    fields: dict[str, Value] = {} if volts is None else {"battery_v": volts}
    if measured:
        lost = None if measured[SAMPLES] else Refusal.NO_TARGET
        add_distance(fields, measured[MEDIAN], HIGH_MM, lost)
    return (Values(fields),) if fields else ()


def encode(values: Values) -> Payload:
    """The message of a DL-LID whose samples all agree; without a distance none is valid."""
    fields = values.fields
    measured: list[int] = []
    if "distance_mm" in fields:
        measured = [round(float(fields["distance_mm"]))] * DISTANCES + [SAMPLES_ASKED, 409]
    elif "quality" in fields:
        measured = [0] * MEASURED_SIZES[0]
    volts = float(fields["battery_v"]) if "battery_v" in fields else None
    return decentlab.say_groups(measured, volts)


DRIVER = Driver(
    name="decentlab_dl_lid",
    vendor="Decentlab",
    models=("DL-LID", "DL-LID2"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=600,
)
