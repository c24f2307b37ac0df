"""A new sensor in the same bay: what was learnt of the old one goes, the bay's history stays.

In: the configuration, what hung there when the agent ran last, the outbox. Out: an outbox without
those devices' states, so that meaning begins unknown: the empty bay's field that a magnetometer
followed, filters, debouncing, stuck-value checks. First the outbox forgets, then the file remembers
what hangs there now: a crash between the two only forgets once more.

A sensor is another one when its driver, identity, address or `sensor` is. Where nothing was written
down yet (the first start of this version), nothing is forgotten.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from pathlib import Path

import msgspec

from edge.configuration import Device, EdgeConfiguration
from edge.outbox_file import OutboxDamaged, OutboxFailing
from edge.outbox_thread import OutboxThread
from edge.site_log import What, folder_of, note_here
from edge.whole_file import write_whole
from wire.malformed import MALFORMED

SUFFIX = ".sensors.json"
_log = logging.getLogger(__name__)


def fitted(device: Device) -> str:
    """A name for what hangs there: 48 bits over all that tells one sensor from another."""
    parts = (device.driver, device.dev_eui, device.unit, device.node, device.topic, device.sensor)
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def sensors_of(configuration: EdgeConfiguration) -> Path:
    """The file that remembers what hangs where."""
    return Path(configuration.outbox.path).absolute().with_suffix(SUFFIX)


async def forget_replaced(
    configuration: EdgeConfiguration, outbox: OutboxThread, now_ms: int
) -> list[str]:
    """Forget the states of devices with another sensor; their names.

    Raises:
        OutboxDamaged: only a new start can repair it.
    """
    path = sensors_of(configuration)
    before, now = _read(path), {one.name: fitted(one) for one in configuration.device}
    if before == now:
        return []
    replaced = [
        name for name, sensor in now.items() if before and before.get(name, sensor) != sensor
    ]
    try:
        if replaced:
            await outbox.seal((), dict.fromkeys(replaced, b""), Counter())
    except OutboxDamaged:
        raise
    except OutboxFailing as error:  # a full disk: tried again at the next start
        _log.warning("event=replaced_not_forgotten why=%r", str(error))
        return []
    try:
        write_whole(path, msgspec.json.encode(now))
    except OSError as error:  # then they are forgotten once more
        _log.warning("event=replaced_not_kept why=%r", str(error))
    for name in replaced:
        text = "another sensor: what was learnt of the one before is forgotten"
        note_here(
            folder_of(configuration), What.REPLACED, now_ms, who="agent", device=name, text=text
        )
    return replaced


def _read(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, *MALFORMED):
        return {}
