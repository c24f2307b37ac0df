"""What parking should have brought and what was paid, by zone and local day. Pure: no IO, no clock.

In: occupied hours of a zone (`occupied_mean` of each bay's hour, summed) and tariffs by zone and
hour; payments of that zone. Out: lines of `revenue`, one a zone and day, at local midnight.

Expected is occupied hours x tariff x the share of drivers who are expected to pay. An hour of which
a bay said nothing brings nothing expected, so silence never accuses a collector. Received is what
payments of that zone were settled on that day. A payment at the end of a stay over midnight counts
into the second day: a day of few stays may differ by them, a week doesn't.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple

from ingest.health import Fact, point
from ingest.stores import Row
from ingest.stores.kinds import GATEWAY_HEALTH, REVENUE
from wire.configuration import Configuration, ConfigurationError
from wire.line import NAME
from wire.messages import Inventory

PAID_KINDS = ("parking_spot", "payment")
HOURS_A_DAY = 24


class Tariff(Configuration, frozen=True):
    """Rupiah for an hour in a bay, from one local hour of the day until another; of one site or
    zone where these are named."""

    idr_per_hour: float
    site: str = ""
    zone: str = ""
    from_hour: int = 0
    until_hour: int = HOURS_A_DAY


class RevenueSettings(Configuration, frozen=True):
    """Tariffs, and from which sum a day on a zone is judged."""

    tariff: tuple[Tariff, ...] = ()
    paying_share: float = 1.0
    judged_from_idr: float = 100_000.0


class ZoneKey(NamedTuple):
    """A zone of a site."""

    site: str
    zone: str


def check_revenue(settings: RevenueSettings, source: str) -> None:
    """Refuse what no day could be reckoned with.

    Raises:
        ConfigurationError: names the key and the remedy.
    """
    for number, tariff in enumerate(settings.tariff, 1):
        key = f"revenue.tariff[{number}]"
        if not 0 <= tariff.idr_per_hour <= 10_000_000:
            raise _out(source, f"{key}.idr_per_hour", tariff.idr_per_hour, "0 to 10,000,000")
        if not 0 <= tariff.from_hour < tariff.until_hour <= HOURS_A_DAY:
            remedy = "Give hours from 0 to 24, the earlier first; past midnight takes two tariffs"
            raise ConfigurationError(source, f"{key}.from_hour", "no span of a day", remedy)
        for name, value in (("site", tariff.site), ("zone", tariff.zone)):
            if value and NAME.fullmatch(value) is None:
                remedy = "Name it as the gateways do, or leave it out"
                raise ConfigurationError(source, f"{key}.{name}", f"{value!r} isn't a name", remedy)
    if not 0 < settings.paying_share <= 1:
        raise _out(source, "revenue.paying_share", settings.paying_share, "above 0, up to 1")
    if not 1 <= settings.judged_from_idr <= 1e12:
        raise _out(source, "revenue.judged_from_idr", settings.judged_from_idr, "1 to 1e12")


def _out(source: str, key: str, value: float, bounds: str) -> ConfigurationError:
    return ConfigurationError(source, key, f"{value:g} is out of bounds", f"Choose {bounds}")


def idr_per_hour(tariffs: Iterable[Tariff], zone: ZoneKey, hour: int) -> float:
    """What an hour in a bay costs there, at that hour of the day: the tariff of the zone before the
    site's, the site's before everybody's, of equals the first; 0 where there is none."""
    fits = [
        tariff
        for tariff in tariffs
        if tariff.site in ("", zone.site)
        and tariff.zone in ("", zone.zone)
        and tariff.from_hour <= hour < tariff.until_hour
    ]
    best = max(fits, key=lambda one: (one.zone != "", one.site != ""), default=None)
    return best.idr_per_hour if best else 0.0


def expected_idr(
    settings: RevenueSettings, hours: Iterable[Row], city: tzinfo
) -> dict[ZoneKey, float]:
    """From rows of (site, zone) and the start of an hour: `occupied_mean`, summed over its bays."""
    expected: defaultdict[ZoneKey, float] = defaultdict(float)
    for row in hours:
        zone = ZoneKey(row.tags["site"], row.tags["zone"])
        hour = datetime.fromtimestamp(row.time_ms / 1000, city).hour
        rate = idr_per_hour(settings.tariff, zone, hour) * settings.paying_share
        expected[zone] += rate * float(row.fields.get("occupied_mean", 0.0))
    return dict(expected)


def received_idr(payments: Iterable[Row]) -> dict[ZoneKey, int]:
    """From rows of (site, zone): `amount_idr`, summed."""
    return {
        ZoneKey(row.tags["site"], row.tags["zone"]): round(float(row.fields["amount_idr"]))
        for row in payments
        if "amount_idr" in row.fields
    }


def revenue_lines(
    settings: RevenueSettings,
    expected: Mapping[ZoneKey, float],
    received: Mapping[ZoneKey, int],
    start_ms: int,
) -> list[str]:
    """One line a zone that something was expected of or paid in. Every field each time: a day that
    is reckoned again leaves nothing of what it was before."""
    lines = []
    for zone in sorted(expected.keys() | received.keys()):
        due, paid = float(round(expected.get(zone, 0.0))), received.get(zone, 0)
        if due or paid:
            share = paid / due if due else 1.0
            judged = int(due >= settings.judged_from_idr)
            place = (zone.zone, zone.site, zone.site, zone.zone)
            fields = {"expected_idr": due, "received_idr": paid, "share": share, "judged": judged}
            lines.append(point(REVENUE, place, dict(fields), start_ms))
    return lines


def settled_zones(
    inventories: Mapping[str, Inventory], facts: Collection[Fact], ended_ms: int, now_ms: int
) -> set[ZoneKey]:
    """Zones of which nothing of the day that ended then can still wait at a gateway: each one with
    bays or terminals there is online, and the oldest it has waiting is younger."""
    since_s = (now_ms - ended_ms) / 1000
    told = {
        fact.place.gateway
        for fact in facts
        if fact.source == GATEWAY_HEALTH.name
        and fact.fields.get("online") == 1
        and float(fact.fields.get("oldest_waiting_s", 0.0)) < since_s
    }
    zones: defaultdict[ZoneKey, list[bool]] = defaultdict(list)
    for inventory in inventories.values():
        for device in inventory.devices:
            if device.kind in PAID_KINDS:
                zones[ZoneKey(inventory.site, device.zone)].append(inventory.gateway in told)
    return {zone for zone, known in zones.items() if all(known)}
