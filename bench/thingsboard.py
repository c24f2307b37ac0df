"""The ThingsBoard gateway as a peer: the same uplinks in, a plain mosquitto for its server.

    with thingsboard(peer, folder, site_port, server_port) as gateway: ...

Its MQTT connector takes ChirpStack's decoded `object`, which costs it no decoding; it keeps no
meaning, no identity of batches and no ledger. Settings are those it ships with, but for: its
SQLite storage in place of memory, no rate limits (they are the server's), no remote configuration,
no statistics, logs at ERROR.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.running import Running

TELEMETRY_TOPIC = "v1/gateway/telemetry"
RPC_TOPIC = "v1/devices/me/rpc"
NO_LIMITS = json.dumps(
    {
        "maxPayloadSize": 65_536,
        "maxInflightMessages": 100,
        "rateLimits": {},
        "gatewayRateLimits": {"gateway": {}, "gatewayDevices": {}},
    }
)
"""What its server answers when it asks for its session's limits."""

_NO_LIMIT = "0:0,"
_BINS = {
    "distance_mm": "double",
    "temperature_c": "double",
    "battery_level": "double",
    "status": "string",
}
_BAYS = {"occupied": "integer"}


def thingsboard(
    peer: Peer,
    folder: Path,
    site_port: int,
    server_port: int,
    storage: str = "sqlite",
    pinned: int | None = None,
) -> Running:
    """Its process, to be started; files go into `folder/thingsboard`."""
    own = folder / "thingsboard"
    (own / "config").mkdir(parents=True)
    (own / "logs").mkdir()
    _write(own / "config" / "tb_gateway.json", _gateway(own, server_port, storage))
    _write(own / "config" / "mqtt.json", _connector(site_port))
    _write(own / "config" / "logs.json", _logs())
    start = (
        "import os; os.environ['TB_GW_CONFIG_DIR'] = 'config/';"
        "from thingsboard_gateway.tb_gateway import daemon; daemon()"
    )
    return Running("thingsboard-gateway", own, [str(peer.program), "-c", start], pinned)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _gateway(own: Path, server_port: int, storage: str) -> dict[str, Any]:
    limits = ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits")
    return {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": server_port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "deviceFiltering": {"enable": False, "filterFile": "list.json"},
            "maxPayloadSizeBytes": 8196,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "checkConnectorsConfigurationInSeconds": 60,
            "handleDeviceRenaming": True,
            "security": {"type": "accessToken", "accessToken": "bench"},
            "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"},
            "checkingDeviceActivity": {"checkDeviceInactivity": False},
            **dict.fromkeys((*limits, "deviceRateLimits", "deviceDpRateLimits"), _NO_LIMIT),
        },
        "storage": {
            "type": storage,
            "read_records_count": 100,
            "max_records_count": 100_000,
            "data_file_path": f"{own}/data/",
            "messages_ttl_check_in_hours": 1,
            "messages_ttl_in_days": 7,
        },
        "grpc": {"enabled": False},
        "connectors": [{"type": "mqtt", "name": "lorawan", "configuration": "mqtt.json"}],
    }


def _connector(site_port: int) -> dict[str, Any]:
    return {
        "broker": {
            "host": "127.0.0.1",
            "port": site_port,
            "clientId": "thingsboard-gateway",
            "version": 5,
            "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100,
            "security": {"type": "anonymous"},
        },
        "mapping": [_mapping("bins", _BINS), _mapping("bays", _BAYS)],
        "requestsMapping": {},
    }


def _mapping(application: str, keys: dict[str, str]) -> dict[str, Any]:
    return {
        "topicFilter": f"application/{application}/device/+/event/up",
        "subscriptionQos": 1,
        "converter": {
            "type": "json",
            "deviceInfo": {
                "deviceNameExpressionSource": "message",
                "deviceNameExpression": "${deviceInfo.devEui}",
                "deviceProfileExpressionSource": "constant",
                "deviceProfileExpression": "default",
            },
            "timeout": 60_000,
            "attributes": [],
            "timeseries": [
                {"type": type_, "key": key, "value": "${object." + key + "}"}
                for key, type_ in keys.items()
            ]
            + [{"type": "integer", "key": "frame_counter", "value": "${fCnt}"}],
        },
    }


def _logs() -> dict[str, Any]:
    """One handler, errors only; the loggers are those it asks for by name."""
    names = ("service", "connector", "converter", "tb_connection", "storage", "extension")
    own = {"handlers": ["console"], "level": "ERROR", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "plain",
                "level": 0,
                "stream": "ext://sys.stdout",
            }
        },
        "loggers": dict.fromkeys((*names, "database"), own),
        "root": {"level": "ERROR", "handlers": ["console"]},
        "ts": 0,
    }
