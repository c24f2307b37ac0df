"""What a network server puts around an uplink, and where it publishes it: one class a server.

In: an uplink. Out: a topic and a message, as that server's documents draw them; the layouts stand
in `devices/chirpstack.py`, `devices/things_stack.py` and `devices/milesight_gateway.py`.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from devices import chirpstack, things_stack
from devices.envelope import Uplink

ServerName = Literal["chirpstack", "things_stack", "milesight_gateway"]
TENANT = "ttn"
STATUS_EVERY = 24  # uplinks between two status notices of a device


class Envelope(Protocol):
    """One server's way of telling."""

    filter: str
    """Topics a gateway subscribes to."""

    def topic(self, uplink: Uplink, event: str) -> str:
        """Where an event (`up`, or one of its notices) is published."""
        ...

    def message(self, uplink: Uplink) -> bytes:
        """The uplink."""
        ...

    def notice(self, uplink: Uplink) -> str:
        """The event that goes before this uplink, empty for none."""
        ...

    def notice_message(self, uplink: Uplink, event: str) -> bytes:
        """That event."""
        ...


class ChirpStack:
    """ChirpStack v4; a gateway's devices are an application of their own."""

    def __init__(self, application_id: str) -> None:
        self._application_id = application_id
        self.filter = f"application/{application_id}/device/+/event/+"

    def topic(self, uplink: Uplink, event: str) -> str:
        topic = chirpstack.topic_of(uplink).replace(chirpstack.APPLICATION, self._application_id)
        return topic.removesuffix("up") + event

    def message(self, uplink: Uplink) -> bytes:
        own = self._application_id.encode()
        return chirpstack.write_envelope(uplink).replace(chirpstack.APPLICATION.encode(), own)

    def notice(self, uplink: Uplink) -> str:
        """A join at first, a status now and then."""
        if uplink.frame_counter == 0:
            return "join"
        return "status" if uplink.frame_counter % STATUS_EVERY == 0 else ""

    def notice_message(self, uplink: Uplink, event: str) -> bytes:
        """Layouts: ChirpStack's events.md. This city's devices tell their charge themselves."""
        up = msgspec.json.decode(self.message(uplink))
        told = {key: up[key] for key in ("deduplicationId", "time", "deviceInfo")}
        if event == "join":
            told["devAddr"] = up["devAddr"]
        else:
            told |= {"margin": 10, "externalPowerSource": False, "batteryLevelUnavailable": True}
        return msgspec.json.encode(told)


class ThingsStack:
    """The Things Stack v3; the application is named by its identity."""

    def __init__(self, application_id: str) -> None:
        self._application = f"city-{application_id[:8]}"
        self.filter = f"v3/{self._application}@{TENANT}/devices/+/#"

    def topic(self, uplink: Uplink, event: str) -> str:
        topic = things_stack.topic_of(uplink, f"{self._application}@{TENANT}")
        return topic.removesuffix("up") + event

    def message(self, uplink: Uplink) -> bytes:
        return things_stack.write_envelope(uplink, self._application)

    def notice(self, uplink: Uplink) -> str:
        return "join" if uplink.frame_counter == 0 else ""

    def notice_message(self, uplink: Uplink, event: str) -> bytes:
        up = msgspec.json.decode(self.message(uplink))
        told = {key: up[key] for key in ("end_device_ids", "received_at") if key in up}
        return msgspec.json.encode(told | {"join_accept": {"session_key_id": "AXA50tHUGUucuzS/"}})


class MilesightGateway:
    """A Milesight gateway's own server; one topic for all its devices, and no notices."""

    def __init__(self, application_id: str) -> None:
        self.filter = f"milesight/{application_id[:8]}/uplink"

    def topic(self, uplink: Uplink, event: str) -> str:
        return self.filter

    def message(self, uplink: Uplink) -> bytes:
        moment = datetime.fromtimestamp(uplink.time_ms / 1000, UTC)
        heard: dict[str, Any] = {"rssi": uplink.rssi_dbm, "loRaSNR": uplink.snr_db}
        told = {
            "devEUI": uplink.dev_eui,
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "fCnt": uplink.frame_counter,
            "fPort": uplink.f_port,
            "data": base64.b64encode(uplink.data).decode(),
            "rxInfo": [
                {"mac": f"24e124fffef{n:05x}", **heard} for n in range(uplink.gateways_heard)
            ],
            "txInfo": {
                "frequency": 923200000,
                "dataRate": {"spreadFactor": uplink.spreading_factor},
            },
        }
        return msgspec.json.encode(told)

    def notice(self, uplink: Uplink) -> str:
        return ""

    def notice_message(self, uplink: Uplink, event: str) -> bytes:
        return msgspec.json.encode({"devEUI": uplink.dev_eui, "time": ""})


_SERVERS: dict[str, type[ChirpStack] | type[ThingsStack] | type[MilesightGateway]] = {
    "chirpstack": ChirpStack,
    "things_stack": ThingsStack,
    "milesight_gateway": MilesightGateway,
}


def envelope_of(server: ServerName, application_id: str) -> Envelope:
    """That server's envelope for one gateway's application."""
    return _SERVERS[server](application_id)
