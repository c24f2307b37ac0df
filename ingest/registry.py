"""Who owns which device: the registry that the watch keeps and the ingestors obey.

In: inventories, as gateways announce them. Out: for every device the gateway it belongs to and
since when; claims (a second gateway announces a device that has an owner) wait for an operator.
Ownership is judged at a reading's own time, so that the backlog of the old gateway still counts
after a move. Pure: reading and writing the file is `ingest/watch.py`'s.

A gateway that lies about what hangs on it harms itself: its first inventory may have
`DEVICES_PER_GATEWAY_MAX` devices, and from then on it has so many new places a day (UTC; a device
new to it, in another zone, or all of them at another site). What is more is left out of the
inventory that counts, and waits there for the next day (`waiting`): nothing needs be sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from devices.kinds import KINDS
from wire.line import NAME
from wire.messages import Inventory, InventoryDevice

DAY_MS = 86_400_000
DEVICES_PER_GATEWAY_MAX = 2000
GATEWAYS_MAX = 20_000
OWNED_MAX, CLAIMS_MAX = 20_000, 2_000
"""Of one gateway: names it has ever announced first, and claims of it that wait."""

NEW_A_DAY = 500
"""New devices, or new places of known ones, that a gateway may bring a day: a technician's hardest
day has a hundred."""


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """A gateway that owned a device from `since_ms` on; the first owner's since is 0."""

    gateway: str
    since_ms: int


class Claim(msgspec.Struct, frozen=True):
    """A gateway announces a device that another one owns; dated to the first announcement."""

    device: str
    gateway: str
    since_ms: int


class Retired(msgspec.Struct, frozen=True):
    """A gateway that is gone for good, and what it would bring if it came back."""

    at_ms: int
    inventory: Inventory


class RegistryFile(msgspec.Struct):
    """What is kept over a restart of the watch.

    `first_ms` is when a device that tells only events was first announced: until somebody pays, a
    terminal has nothing to say.
    """

    owners: dict[str, list[Owner]] = {}
    first_ms: dict[str, int] = {}
    claims: list[Claim] = []
    inventories: dict[str, Inventory] = {}
    retired: dict[str, Retired] = {}


class Registry:
    """The registry in memory. `changed` is set by whatever the file must hold; `waiting` are whole
    inventories of gateways that have announced more than they may, by gateway."""

    def __init__(self, file: RegistryFile | None = None, new_a_day: int = NEW_A_DAY) -> None:
        self.file = file or RegistryFile()
        self.changed = False
        self.waiting: dict[str, Inventory] = {}
        self._new_a_day = new_a_day
        self._day = 0
        self._new: Counter[str] = Counter()  # places of that day
        self._had: dict[str, int] = {}  # devices when it first announced something that day
        self._owned = Counter(held[-1].gateway for held in self.file.owners.values() if held)

    @property
    def inventories(self) -> dict[str, Inventory]:
        """The newest inventory of each gateway, as far as it counts."""
        return self.file.inventories

    def counted_once(self) -> dict[str, Inventory]:
        """The same, each device in one: what several announce is its owner's, while that one
        announces it too. Of a gateway that is gone the inventory stays."""
        owned = {
            device.name: gateway
            for gateway, inventory in self.inventories.items()
            for device in inventory.devices
            if (held := self.file.owners.get(device.name)) and held[-1].gateway == gateway
        }
        return {
            gateway: _without_others(inventory, owned)
            for gateway, inventory in self.inventories.items()
        }

    def announce(self, inventory: Inventory, now_ms: int) -> str:
        """Take in an inventory; an empty text, or why it isn't believed.

        A device nobody owns becomes this gateway's, from ever; one that another gateway owns
        becomes a claim; one whose owner is retired is whose gateway names it first. What a retired
        gateway announces is kept for its return.
        """
        refusal = self._refusal(inventory)
        if refusal:
            return refusal
        if retired := self.file.retired.get(inventory.gateway):
            if retired.inventory != inventory:
                kept = msgspec.structs.replace(retired, inventory=inventory)
                self.file.retired[inventory.gateway] = kept
                self.changed = True
            return ""
        if self.file.inventories.get(inventory.gateway) == inventory:
            self.waiting.pop(inventory.gateway, None)
            return ""
        counts = self._that_counts(inventory, now_ms)
        if self.file.inventories.get(inventory.gateway) != counts:
            self.file.inventories[inventory.gateway] = counts
            self.changed = True
            self._own(counts, now_ms)
        return ""

    def announce_waiting(self, now_ms: int) -> list[str]:
        """Take in as much as is allowed today of what waits; whose inventory that has changed."""
        before = {gateway: self.file.inventories.get(gateway) for gateway in self.waiting}
        for inventory in [*self.waiting.values()]:
            self.announce(inventory, now_ms)
        return [name for name, was in before.items() if self.file.inventories.get(name) != was]

    def _that_counts(self, inventory: Inventory, now_ms: int) -> Inventory:
        """The inventory without the new places that are too many today."""
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._new.clear()
            self._had.clear()
        gateway = inventory.gateway
        known = self.file.inventories.get(gateway)
        before = {device.name: device for device in known.devices} if known else {}
        moved = known is not None and known.site != inventory.site
        fresh = [
            device.name
            for device in inventory.devices
            if moved or device.name not in before or before[device.name].zone != device.zone
        ]
        had = self._had.setdefault(gateway, len(before))  # all of them may move in a day
        a_day = max(self._new_a_day, had) if known else DEVICES_PER_GATEWAY_MAX
        room = min(a_day - self._new[gateway], OWNED_MAX - self._owned[gateway])
        if len(fresh) <= room:
            self._new[gateway] += len(fresh) if known else 0
            self.waiting.pop(gateway, None)
            return inventory
        self.waiting[gateway] = inventory
        if moved and known:
            return known  # one site or the other
        too_many = {*fresh[max(room, 0) :]}
        self._new[gateway] += len(fresh) - len(too_many)
        devices = [
            before.get(device.name) if device.name in too_many else device
            for device in inventory.devices
        ]
        return msgspec.structs.replace(inventory, devices=tuple(filter(None, devices)))

    def _own(self, inventory: Inventory, now_ms: int) -> None:
        gateway = inventory.gateway
        claimed = {claim.device for claim in self.file.claims if claim.gateway == gateway}
        for device in inventory.devices:
            owners = self.file.owners.get(device.name)
            if owners is None:
                self.file.owners[device.name] = [Owner(gateway, 0)]
                self._owned[gateway] += 1
                if _tells_events(device):
                    self.file.first_ms[device.name] = now_ms
            elif retired := self.file.retired.get(owners[-1].gateway):
                self._pass_on(device.name, gateway, retired.at_ms)
            elif owners[-1].gateway != gateway and (
                device.name not in claimed and len(claimed) < CLAIMS_MAX
            ):
                claimed.add(device.name)
                self.file.claims.append(Claim(device.name, gateway, now_ms))

    def accept(self, device: str, gateway: str) -> bool:
        """An operator agrees to a move; it counts from the claim's date. False: no such claim."""
        for claim in self.file.claims:
            if (claim.device, claim.gateway) == (device, gateway):
                self._pass_on(device, gateway, claim.since_ms)
                self.file.claims.remove(claim)
                self.changed = True
                return True
        return False

    def _pass_on(self, device: str, gateway: str, since_ms: int) -> None:
        owners = self.file.owners[device]
        self._owned[owners[-1].gateway] -= 1
        self._owned[gateway] += 1
        owners.append(Owner(gateway, since_ms))

    def retire(self, gateway: str, now_ms: int) -> bool:
        """An operator says that it is gone for good: nobody is to look for it, or for what hangs on
        it alone. The oldest claim to each device of it holds, and its own claims end. False: no
        such gateway."""
        inventory = self.file.inventories.pop(gateway, None)
        if inventory is None:
            return False
        whole = self.waiting.pop(gateway, inventory)
        self.file.retired[gateway] = Retired(now_ms, whole)
        self.file.claims = [claim for claim in self.file.claims if claim.gateway != gateway]
        for claim in tuple(self.file.claims):
            if self.file.owners[claim.device][-1].gateway == gateway:
                self.accept(claim.device, claim.gateway)
        self.changed = True
        return True

    def bring_back(self, gateway: str, now_ms: int) -> bool:
        """It isn't gone: what it announced last counts again. False: it isn't retired."""
        retired = self.file.retired.pop(gateway, None)
        if retired is None:
            return False
        self.changed = True
        self.announce(retired.inventory, now_ms)
        return True

    def _refusal(self, inventory: Inventory) -> str:
        names = [inventory.gateway, inventory.site]
        names += [name for d in inventory.devices for name in (d.name, d.zone)]
        if any(NAME.fullmatch(name) is None for name in names):
            return "a name outside the alphabet"
        if len(inventory.devices) > DEVICES_PER_GATEWAY_MAX:
            return f"more than {DEVICES_PER_GATEWAY_MAX} devices"
        known, retired = self.file.inventories, self.file.retired
        is_new = inventory.gateway not in known and inventory.gateway not in retired
        if is_new and len(known) + len(retired) >= GATEWAYS_MAX:
            return f"more than {GATEWAYS_MAX} gateways"
        return ""


def _without_others(inventory: Inventory, owned: Mapping[str, str]) -> Inventory:
    gateway = inventory.gateway
    own = tuple(each for each in inventory.devices if owned.get(each.name, gateway) == gateway)
    if len(own) == len(inventory.devices):
        return inventory
    return msgspec.structs.replace(inventory, devices=own)


def _tells_events(device: InventoryDevice) -> bool:
    kind = KINDS.get(device.kind)
    return kind is not None and bool(kind.needs)


def owner_at(owners: list[Owner], time_ms: int) -> str:
    """The gateway that owned the device at that time."""
    for owner in reversed(owners):
        if owner.since_ms <= time_ms:
            return owner.gateway
    return owners[0].gateway
