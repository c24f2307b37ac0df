"""Who owns which device: the registry that the watch keeps and the ingestors obey.

In: inventories, as gateways announce them. Out: for every device the gateway it belongs to and
since when; claims (a second gateway announces a device that has an owner) wait for an operator.
Ownership is judged at a reading's own time, so that the backlog of the old gateway still counts
after a move. Pure: reading and writing the file is `ingest/watch.py`'s.
"""

from __future__ import annotations

import msgspec

from wire.line import NAME
from wire.messages import Inventory

DEVICES_PER_GATEWAY_MAX = 2000
GATEWAYS_MAX = 20_000


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """A gateway that owned a device from `since_ms` on; the first owner's since is 0."""

    gateway: str
    since_ms: int


class Claim(msgspec.Struct, frozen=True):
    """A gateway announces a device that another one owns; dated to the first announcement."""

    device: str
    gateway: str
    since_ms: int


class RegistryFile(msgspec.Struct):
    """What is kept over a restart of the watch."""

    owners: dict[str, list[Owner]] = {}
    claims: list[Claim] = []
    inventories: dict[str, Inventory] = {}


class Registry:
    """The registry in memory. `changed` is set by whatever the file must hold."""

    def __init__(self, file: RegistryFile | None = None) -> None:
        self.file = file or RegistryFile()
        self.changed = False

    @property
    def inventories(self) -> dict[str, Inventory]:
        """The newest inventory of each gateway."""
        return self.file.inventories

    def announce(self, inventory: Inventory, now_ms: int) -> str:
        """Take in an inventory; an empty text, or why it isn't believed.

        A device nobody owns becomes this gateway's, from ever; one that another gateway owns
        becomes a claim.
        """
        refusal = self._refusal(inventory)
        if refusal:
            return refusal
        if self.file.inventories.get(inventory.gateway) == inventory:
            return ""
        self.file.inventories[inventory.gateway] = inventory
        self.changed = True
        claimed = {(claim.device, claim.gateway) for claim in self.file.claims}
        for device in inventory.devices:
            owners = self.file.owners.get(device.name)
            if owners is None:
                self.file.owners[device.name] = [Owner(inventory.gateway, 0)]
            elif (
                owners[-1].gateway != inventory.gateway
                and (device.name, inventory.gateway) not in claimed
            ):
                self.file.claims.append(Claim(device.name, inventory.gateway, now_ms))
        return ""

    def accept(self, device: str, gateway: str) -> bool:
        """An operator agrees to a move; it counts from the claim's date. False: no such claim."""
        for claim in self.file.claims:
            if (claim.device, claim.gateway) == (device, gateway):
                self.file.owners[device].append(Owner(gateway, claim.since_ms))
                self.file.claims.remove(claim)
                self.changed = True
                return True
        return False

    def _refusal(self, inventory: Inventory) -> str:
        names = [inventory.gateway, inventory.site]
        names += [name for d in inventory.devices for name in (d.name, d.zone)]
        if any(NAME.fullmatch(name) is None for name in names):
            return "a name outside the alphabet"
        if len(inventory.devices) > DEVICES_PER_GATEWAY_MAX:
            return f"more than {DEVICES_PER_GATEWAY_MAX} devices"
        known = inventory.gateway in self.file.inventories
        if not known and len(self.file.inventories) >= GATEWAYS_MAX:
            return f"more than {GATEWAYS_MAX} gateways"
        return ""


def owner_at(owners: list[Owner], time_ms: int) -> str:
    """The gateway that owned the device at that time."""
    for owner in reversed(owners):
        if owner.since_ms <= time_ms:
            return owner.gateway
    return owners[0].gateway
