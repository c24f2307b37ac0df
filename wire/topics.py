"""The topics under `gampong/v1/<gateway>/`, spelt once.

The broker's access list ties `<gateway>` to the client certificate's name, so a topic is what the
cloud believes about who speaks.
"""

from __future__ import annotations

from enum import StrEnum

from wire.line import NAME

ROOT = "gampong/v1"
TIME_TOPIC = f"{ROOT}/time"
"""City time from the watch, for gateways without a clock; unretained, expires after a second."""

REGISTRY_TOPIC = f"{ROOT}/registry"
"""The registry (which device belongs to which gateway), retained, from the watch to ingestors."""


class Leaf(StrEnum):
    """The last levels of a gateway's topics."""

    BATCH = "batch"  # sealed batches, new
    BACKFILL = "backfill"  # sealed batches, late
    CONFIRM = "confirm"  # what became of batches
    STATUS = "status"  # retained, last will: ledger, versions
    INVENTORY = "inventory"  # retained: devices and places
    CONFIG = "config"  # retained: desired configuration
    CONFIG_APPLIED = "config/applied"
    COMMAND = "command"  # the cloud asks for something, once, with an expiry
    COMMAND_RESULT = "command/result"
    CERTIFICATE_REQUEST = "certificate/request"  # a key that the gateway made asks to be signed
    CERTIFICATE = "certificate"  # the answer


def topic(gateway: str, leaf: Leaf) -> str:
    """The topic of one gateway and leaf."""
    return f"{ROOT}/{gateway}/{leaf}"


def every(leaf: Leaf) -> str:
    """The filter that matches that leaf of every gateway."""
    return f"{ROOT}/+/{leaf}"


def shared(group: str, leaf: Leaf) -> str:
    """The same as a shared subscription: each message goes to one subscriber of the group.

    The leaf is part of the group's name, since some brokers (rumqttd) take two filters of one name
    for one group and give each half of both.
    """
    return f"$share/{group}-{leaf}/{every(leaf)}"


def gateway_of(name: str, leaf: Leaf) -> str | None:
    """The gateway that a topic of this leaf names, or None when it isn't one."""
    head, tail = f"{ROOT}/", f"/{leaf}"
    if not (name.startswith(head) and name.endswith(tail)):
        return None
    gateway = name[len(head) : -len(tail)]
    return gateway if NAME.fullmatch(gateway) else None
