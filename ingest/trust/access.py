"""What each role may do at the broker, said once and written for mosquitto.

In: roles and names. Out: rights (topic filters a role may send, receive, subscribe to), the first
file of mosquitto's dynamic security plugin, the commands that add a gateway to a running broker or
cut it off, and a `mosquitto.conf`. Pure: sending is `control.py`'s.

A name is the common name of a client certificate; the broker has checked that before it looks here.
Every gateway has a role of its own whose topics are spelt out: mosquitto 2.0.11 (Debian 12) doesn't
put a client's name into a pattern (`%u`) of this plugin. Whatever isn't listed is refused.

    role       sends                                   receives
    gateway    its batch, backfill, status,            its confirm, config, command,
               inventory, config/applied,              status, certificate; the time
               command/result, certificate/request
    ingestor   confirm of all                          batch and backfill of all; the registry
    watch      registry, time;                         status, inventory, config/applied,
               config and command of all               command/result of all
    viewer     nothing                                 status and inventory of all
    signer     certificate of all                      certificate/request of all
    admin      $CONTROL of this plugin                 its answers
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from wire.topics import REGISTRY_TOPIC, TIME_TOPIC, Leaf, every, topic

CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSE_TOPIC = f"{CONTROL_TOPIC}/response"

PACKET_BYTES_MAX = 128 * 1024
"""A batch is 64 KiB at the most, a status or inventory a little more than nothing."""

CONNECTIONS_MAX = 20_000
IN_FLIGHT_MAX = 1_000
QUEUED_MESSAGES_MAX = 10_000
QUEUED_BYTES_MAX = 256 * 1024 * 1024
"""A client that stops reading may cost the broker's memory so much: an ingestor that restarts."""


class Role(StrEnum):
    """What a certificate is for. `broker` is a server's and has no rights as a client."""

    GATEWAY = "gateway"
    INGESTOR = "ingestor"
    WATCH = "watch"
    VIEWER = "viewer"
    SIGNER = "signer"
    ADMIN = "admin"
    BROKER = "broker"


class Rights(NamedTuple):
    """Topic filters. To receive a topic is to be allowed to subscribe to it, too."""

    sends: tuple[str, ...]
    receives: tuple[str, ...]


GATEWAY_SENDS = (
    Leaf.BATCH,
    Leaf.BACKFILL,
    Leaf.STATUS,
    Leaf.INVENTORY,
    Leaf.CONFIG_APPLIED,
    Leaf.COMMAND_RESULT,
    Leaf.CERTIFICATE_REQUEST,
)
GATEWAY_RECEIVES = (Leaf.CONFIRM, Leaf.CONFIG, Leaf.COMMAND, Leaf.STATUS, Leaf.CERTIFICATE)


def rights_of(role: Role, name: str = "") -> Rights:
    """The rights of a role; a gateway's are those of one gateway, `name`."""
    if role is Role.GATEWAY:
        return Rights(
            tuple(topic(name, leaf) for leaf in GATEWAY_SENDS),
            (*(topic(name, leaf) for leaf in GATEWAY_RECEIVES), TIME_TOPIC),
        )
    return _RIGHTS[role]


_RIGHTS = {
    Role.INGESTOR: Rights(
        (every(Leaf.CONFIRM),), (every(Leaf.BATCH), every(Leaf.BACKFILL), REGISTRY_TOPIC)
    ),
    Role.WATCH: Rights(
        (REGISTRY_TOPIC, TIME_TOPIC, every(Leaf.CONFIG), every(Leaf.COMMAND)),
        (
            every(Leaf.STATUS),
            every(Leaf.INVENTORY),
            every(Leaf.CONFIG_APPLIED),
            every(Leaf.COMMAND_RESULT),
        ),
    ),
    Role.VIEWER: Rights((), (every(Leaf.STATUS), every(Leaf.INVENTORY))),
    Role.SIGNER: Rights((every(Leaf.CERTIFICATE),), (every(Leaf.CERTIFICATE_REQUEST),)),
    Role.ADMIN: Rights((CONTROL_TOPIC,), (RESPONSE_TOPIC,)),
    Role.BROKER: Rights((), ()),
}


def first_state(clients: dict[str, Role]) -> bytes:
    """The plugin's file before the broker's first start: these clients, everything else refused.

    The broker keeps the file from then on. Its layout is that of
    https://mosquitto.org/documentation/dynamic-security/ and of what 2.0.11 writes itself.
    """
    document = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [_client(name, role) for name, role in clients.items()],
        "groups": [],
        "roles": [
            {"rolename": _role_name(role, name), "acls": _acls(rights_of(role, name))}
            for name, role in clients.items()
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def commands_to_add(name: str, role: Role) -> list[dict[str, Any]]:
    """Commands that let a client in. Repeated, they answer "already exists", which is as good, and
    give a role of an earlier version today's rights (mosquitto then ends its connection, once)."""
    rights = {"rolename": _role_name(role, name), "acls": _acls(rights_of(role, name))}
    return [
        {"command": "createRole", **rights},
        {"command": "modifyRole", **rights},
        {"command": "createClient", **_client(name, role)},
    ]


def commands_to_kick(name: str) -> list[dict[str, Any]]:
    """Commands that end a client's connection; it may come back at once."""
    return [
        {"command": "disableClient", "username": name},
        {"command": "enableClient", "username": name},
    ]


def commands_to_cut(name: str, role: Role) -> list[dict[str, Any]]:
    """Commands that end a client's connection at once and leave it without any right."""
    return [
        {"command": "deleteClient", "username": name},
        {"command": "deleteRole", "rolename": _role_name(role, name)},
    ]


def mosquitto_conf(folder: str, plugin: str, port: int) -> str:
    """A broker that lets nobody in without a certificate of this authority.

    Args:
        folder: where `ca.pem`, `crl.pem`, `broker.pem`, `broker.key` and
            `dynamic-security.json` lie, readable for the broker alone.
        plugin: path of mosquitto_dynamic_security.so.
        port: to listen on, on all addresses.
    """
    lines = (
        "# By gampong gateway authority. Certificates and crl.pem are read again on SIGHUP.",
        "per_listener_settings false",
        "persistence false",  # the broker is a courier: gateways keep what isn't confirmed
        "allow_anonymous false",
        "set_tcp_nodelay true",
        f"max_packet_size {PACKET_BYTES_MAX}",
        f"max_inflight_messages {IN_FLIGHT_MAX}",
        f"max_queued_messages {QUEUED_MESSAGES_MAX}",
        f"max_queued_bytes {QUEUED_BYTES_MAX}",
        "max_keepalive 600",
        f"plugin {plugin}",
        f"plugin_opt_config_file {folder}/dynamic-security.json",
        f"listener {port}",
        f"max_connections {CONNECTIONS_MAX}",
        f"cafile {folder}/ca.pem",
        f"crlfile {folder}/crl.pem",
        f"certfile {folder}/broker.pem",
        f"keyfile {folder}/broker.key",
        "tls_version tlsv1.2",  # the least one: 1.3 is taken where both know it
        "require_certificate true",
        "use_identity_as_username true",
        "",
    )
    return "\n".join(lines)


def _client(name: str, role: Role) -> dict[str, Any]:
    return {"username": name, "roles": [{"rolename": _role_name(role, name), "priority": 0}]}


def _role_name(role: Role, name: str) -> str:
    """One a client: a role that is deleted with its client can't be left behind with rights."""
    return f"{role}-{name}"


def _acls(rights: Rights) -> list[dict[str, Any]]:
    return [
        *(_acl("publishClientSend", each) for each in rights.sends),
        *(_acl("publishClientReceive", each) for each in rights.receives),
        *(_acl("subscribePattern", each) for each in rights.receives),
        # A shared subscription is judged by its whole name, group and all (2.0.11).
        *(_acl("subscribePattern", f"$share/+/{each}") for each in rights.receives),
    ]


def _acl(kind: str, filter_: str) -> dict[str, Any]:
    return {"acltype": kind, "topic": filter_, "priority": 0, "allow": True}
