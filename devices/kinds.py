"""The one place where kinds, fields, types, units and ranges are named.

In: nothing. Out: `KINDS`, a table that every other room reads: drivers name their kind, the guard
checks types and ranges, panels take units and states, the documents print it.

Names follow the FIWARE Smart Data Models (Parking, WasteManagement, PointOfInteraction) in snake
case; a unit stands last in the name where it isn't the SI base unit. A field's type never changes:
a database fixes it at the first write, so a new type is a new name. Physical quantities are floats
even where today's sensor gives whole numbers, because the next sensor won't.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FieldType(StrEnum):
    """How a field travels in line protocol: `3i`, `3.5`, `"text"`."""

    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"


class Field(msgspec.Struct, frozen=True):
    """One field of a kind.

    `low` and `high` bound what is physically possible, both included; a value outside is refused
    with reason `range` and never stored. `choices` closes the set of a text field; a text field
    without choices takes up to 64 characters of `TEXT_ALPHABET`. `counts` is a counter that grows
    until it begins anew: panels show its rise, since itself it says nothing.
    """

    name: str
    type: FieldType
    about: str
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    counts: bool = False


class Kind(msgspec.Struct, frozen=True):
    """A measurement: what one sort of device says.

    `state` is the field an operator reads first; `expiry_s` is the least age after which a reading
    counts as unknown; `heartbeat_s` is how often a device is expected when its configuration
    doesn't say. `needs` names fields without which a reading of an event is none, such as a payment
    without its transaction; its time is the event's own, so a map of such a kind says where it is.
    `number` names the text field with the event's own number, where it has one: told twice is once.
    """

    name: str
    about: str
    state: str
    fields: dict[str, Field]
    heartbeat_s: float
    expiry_s: float
    needs: tuple[str, ...] = ()
    number: str = ""


TEXT_ALPHABET = r"A-Za-z0-9 ._:/+-"
"""Characters a text field may hold, as the inside of a regular expression's class: nothing that
line protocol, InfluxQL or HTML would need escaped."""

TEXT_LENGTH = 64
NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,63}"
"""Names of devices, sites, zones and gateways: safe as a tag, a topic level, a path, an HTML id."""

INTEGER, FLOAT, TEXT = FieldType.INTEGER, FieldType.FLOAT, FieldType.TEXT
INT64_HIGH = 2.0**63 - 1024  # the largest float below 2**63
_COUNTER_HIGH = 2**32 - 1


def _table(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in (*fields, *_DEVICE_FIELDS)}


def _counter(name: str, about: str, unit: str, high: float, type_: FieldType = INTEGER) -> Field:
    return Field(name, type_, about, unit, 0, high, counts=True)


_DEVICE_FIELDS = (
    Field("battery_v", FLOAT, "supply voltage of the sensor", "V", 0, 60),
    Field("battery_level", FLOAT, "charge left, 0 empty to 1 full", "", 0, 1),
    Field("temperature_c", FLOAT, "temperature at the sensor", "°C", -60, 200),
    Field("probe_temperature_c", FLOAT, "temperature at a probe on a cable", "°C", -60, 200),
    Field("relative_humidity", FLOAT, "humidity of the air at the sensor, 0 dry to 1", "", 0, 1),
    Field("tilt_deg", FLOAT, "how far the sensor leans from upright", "°", -360, 360),
    Field("rssi_dbm", FLOAT, "best gateway's received signal strength", "dBm", -200, 30),
    Field("snr_db", FLOAT, "best gateway's signal to noise ratio", "dB", -50, 50),
    Field("spreading_factor", INTEGER, "LoRa spreading factor", "", 5, 12),
    _counter("frame_counter", "uplink counter of the LoRaWAN session", "", _COUNTER_HIGH),
    Field("gateways_heard", INTEGER, "radio gateways that heard this uplink", "", 0, 1000),
    Field("firmware", TEXT, "firmware version the device reports"),
    Field(
        "quality",
        TEXT,
        "the gateway's self-check of this reading",
        choices=("ok", "stuck", "out_of_range", "noisy", "battery_low"),
    ),
    Field(
        "time_quality",
        TEXT,
        "present when the time isn't exact",
        choices=("estimated",),
    ),
)

PARKING_SPOT = Kind(
    name="parking_spot",
    about="one parking bay",
    state="occupied",
    heartbeat_s=600,
    expiry_s=300,
    fields=_table(
        Field("occupied", INTEGER, "1 when a vehicle stands in the bay, 0 when free", "", 0, 1),
        Field("distance_mm", FLOAT, "raw distance to what is under the sensor", "mm", 0, 20_000),
        Field("previous_state_s", FLOAT, "how long the state before this one lasted", "s", 0, 1e9),
        _counter("vehicle_count", "vehicles counted, the sensor's counter", "", _COUNTER_HIGH),
        Field("magnetic_x_ut", FLOAT, "raw magnetic field along the bay", "µT", -1e4, 1e4),
        Field("magnetic_y_ut", FLOAT, "raw magnetic field across the bay", "µT", -1e4, 1e4),
        Field("magnetic_z_ut", FLOAT, "raw magnetic field upwards", "µT", -1e4, 1e4),
    ),
)

WASTE_CONTAINER = Kind(
    name="waste_container",
    about="one waste bin or container",
    state="filling_level",
    heartbeat_s=900,
    expiry_s=1800,
    fields=_table(
        Field("filling_level", FLOAT, "how full, 0 empty to 1 full", "", 0, 1),
        Field("distance_mm", FLOAT, "raw distance from the lid to the waste", "mm", 0, 20_000),
        Field(
            "status",
            TEXT,
            "condition of the container",
            choices=("ok", "lid_open", "dropped", "moved", "burning", "unknown"),
        ),
        Field("latitude_deg", FLOAT, "where the container's own receiver is", "°", -90, 90),
        Field("longitude_deg", FLOAT, "where the container's own receiver is", "°", -180, 180),
    ),
)

WIFI_ACCESS_POINT = Kind(
    name="wifi_access_point",
    about="one public WiFi corner: its access point and what a visitor feels",
    state="clients",
    heartbeat_s=60,
    expiry_s=180,
    fields=_table(
        Field("up", INTEGER, "1 when the access point answered", "", 0, 1),
        Field("clients", INTEGER, "stations associated now", "", 0, 10_000),
        _counter("rx_bytes", "bytes from stations, the interface's counter", "B", INT64_HIGH),
        _counter("tx_bytes", "bytes to stations, the interface's counter", "B", INT64_HIGH),
        Field("channel_utilization", FLOAT, "share of time the channel is busy", "", 0, 1),
        Field("noise_dbm", FLOAT, "noise floor", "dBm", -150, 0),
        Field("uptime_s", FLOAT, "time since the access point started", "s", 0, 1e10),
        Field("latency_ms", FLOAT, "round trip from the gateway to the internet", "ms", 0, 60_000),
        Field("loss_ratio", FLOAT, "share of probes without an answer", "", 0, 1),
        Field("dns_ms", FLOAT, "time a name took to resolve", "ms", 0, 60_000),
        Field(
            "portal",
            TEXT,
            "what a visitor's captive-portal check would see",
            choices=("open", "portal", "down"),
        ),
    ),
)

PEOPLE_COUNTER = Kind(
    name="people_counter",
    about="people in a place, or passing a line (FIWARE CrowdFlowObserved)",
    state="people_count",
    heartbeat_s=600,
    expiry_s=1800,
    fields=_table(
        Field("people_count", INTEGER, "people the sensor sees or has counted", "", 0, 1_000_000),
        Field("people_count_max", INTEGER, "most people at once since last told", "", 0, 1_000_000),
        _counter("people_in", "people in, the sensor's counter", "", _COUNTER_HIGH),
        _counter("people_out", "people out, the sensor's counter", "", _COUNTER_HIGH),
        Field("period_in", INTEGER, "people in since last told", "", 0, 1_000_000),
        Field("period_out", INTEGER, "people out since last told", "", 0, 1_000_000),
        Field("occupied", INTEGER, "1 when somebody is there, 0 when nobody is", "", 0, 1),
    ),
)

TRAFFIC_COUNTER = Kind(
    name="traffic_counter",
    about="vehicles passing a lane (FIWARE TrafficFlowObserved)",
    state="vehicle_count",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_table(
        _counter("vehicle_count", "vehicles counted, the sensor's counter", "", _COUNTER_HIGH),
    ),
)

ENVIRONMENT = Kind(
    name="environment",
    about="air at one place (FIWARE AirQualityObserved, IndoorEnvironmentObserved)",
    state="temperature_c",
    heartbeat_s=600,
    expiry_s=1800,
    fields=_table(
        Field("atmospheric_pressure_hpa", FLOAT, "pressure of the air", "hPa", 300, 1200),
        Field("illuminance_lux", FLOAT, "light", "lx", 0, 200_000),
        Field("co2_ppm", FLOAT, "carbon dioxide", "ppm", 0, 65_535),
        Field("tvoc_ppb", FLOAT, "volatile organic compounds, all", "ppb", 0, 65_535),
        Field("sound_peak_db", FLOAT, "loudest sound since last told", "dB", 0, 255),
        Field("sound_average_db", FLOAT, "average sound since last told", "dB", 0, 255),
        Field("motions", INTEGER, "movements seen since last told", "", 0, 65_535),
        Field("occupied", INTEGER, "1 when somebody is there, 0 when nobody is", "", 0, 1),
    ),
)

ENERGY_METER = Kind(
    name="energy_meter",
    about="one electricity meter: street lights, a kiosk, a solar roof (FIWARE ACMeasurement)",
    state="active_power_w",
    heartbeat_s=300,
    expiry_s=900,
    fields=_table(
        Field("active_power_w", FLOAT, "power now", "W", 0, 10_000_000),
        _counter("active_energy_wh", "energy, the meter's counter", "Wh", 1e13, FLOAT),
        Field("voltage_v", FLOAT, "mains voltage", "V", 0, 1000),
        Field("current_a", FLOAT, "current", "A", 0, 10_000),
        Field("frequency_hz", FLOAT, "mains frequency", "Hz", 0, 1000),
        Field("power_factor", FLOAT, "active by apparent power", "", 0, 1),
        Field("power_alarm", INTEGER, "1 above the meter's power threshold", "", 0, 1),
    ),
)

WATER_LEVEL = Kind(
    name="water_level",
    about="the water at one gauge: river, drain, tide (FIWARE Device of waterLevel)",
    state="level_m",
    heartbeat_s=900,
    expiry_s=1800,
    fields=_table(
        Field("level_m", FLOAT, "height of the water over the gauge's zero", "m", -100, 1000),
        Field("distance_mm", FLOAT, "raw distance from sensor to water", "mm", 0, 100_000),
    ),
)

SOIL_MOISTURE = Kind(
    name="soil_moisture",
    about="the soil of a bed, a lawn or a tree (FIWARE GreenspaceRecord, AgriParcelRecord)",
    state="soil_moisture_vwc",
    heartbeat_s=1200,
    expiry_s=3600,
    fields=_table(
        Field("soil_moisture_vwc", FLOAT, "water by volume, 0 dry to 1 all water", "", 0, 1),
        Field("soil_temperature_c", FLOAT, "temperature of the soil", "°C", -60, 100),
        Field("soil_conductivity_us_cm", FLOAT, "salts in the soil", "µS/cm", 0, 100_000),
    ),
)

PAYMENT = Kind(
    name="payment",
    about="a terminal or account that parking is paid at: one point a settled payment",
    state="amount_idr",
    heartbeat_s=86_400,
    expiry_s=2 * 86_400,
    needs=("amount_idr", "transaction"),
    number="transaction",
    fields=_table(
        Field("amount_idr", INTEGER, "what was paid, rupiah", "IDR", 0, 1_000_000_000),
        Field("transaction", TEXT, "the payment gateway's own number: twice is once"),
        Field(
            "method",
            TEXT,
            "how it was paid",
            choices=("qris", "card", "cash", "ewallet", "transfer", "other"),
        ),
    ),
)

WASTE_DEPOSIT = Kind(
    name="waste_deposit",
    about="a waste bank (Bank Sampah): one point a deposit; of whom isn't told",
    state="weight_kg",
    heartbeat_s=7 * 86_400,
    expiry_s=14 * 86_400,
    needs=("weight_kg", "waste_kind", "deposit"),
    number="deposit",
    fields=_table(
        Field("weight_kg", FLOAT, "what was brought", "kg", 0, 10_000),
        Field(
            "waste_kind",
            TEXT,
            "of what it is (FIWARE storedWasteKind)",
            choices=(
                *("organic", "inorganic", "glass", "oil", "plastic", "metal", "paper"),
                *("batteries", "electronics", "hazardous", "other"),
            ),
        ),
        Field("points", INTEGER, "what the bank gave for it, its own points", "", 0, 1_000_000_000),
        Field("deposit", TEXT, "the bank's own number of the deposit: twice is once"),
    ),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        PARKING_SPOT,
        WASTE_CONTAINER,
        WIFI_ACCESS_POINT,
        PEOPLE_COUNTER,
        TRAFFIC_COUNTER,
        ENVIRONMENT,
        ENERGY_METER,
        WATER_LEVEL,
        SOIL_MOISTURE,
        PAYMENT,
        WASTE_DEPOSIT,
    )
}
