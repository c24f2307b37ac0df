"""What the window tells the uplink to do."""

from __future__ import annotations

import msgspec

from wire.topics import Leaf


class Send(msgspec.Struct, frozen=True):
    """Publish this batch on this leaf, with this message expiry."""

    sequence: int
    leaf: Leaf
    expiry_s: int


class Ask(msgspec.Struct, frozen=True):
    """Publish an empty message on this leaf, to learn whether anybody listens."""

    leaf: Leaf


class Snapshot(msgspec.Struct, frozen=True):
    """Publish the last reading of each device, before anything else."""


class Load(msgspec.Struct, frozen=True):
    """Look up the next waiting batches after this sequence; answer with `loaded`."""

    after: int
    limit: int


class Park(msgspec.Struct, frozen=True):
    """Put this batch aside: the broker hangs up on it."""

    sequence: int


class HangUp(msgspec.Struct, frozen=True):
    """The connection is stuck: end it."""


Action = Send | Ask | Snapshot | Load | Park | HangUp
