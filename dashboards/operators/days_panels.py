"""The parts of the Parking and Waste pages: Vue components of ours beside this file, in `assets/`.

What is now they draw from the live city in the browser (`gampong-live`), what was from the days
that the server reckons and `Days` hands them (`gampong-days`). Texts of devices reach them as JSON
and are written as text nodes there, never as markup.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import nicegui
from nicegui.element import Element

from dashboards.operators.workshop import Told
from dashboards.round_configuration import TruckSettings

_ASSETS = Path(__file__).with_name("assets")
_BUNDLES = Path(nicegui.__file__).parent / "elements"
_LEAFLET = _BUNDLES / "leaflet" / "dist"
_ECHARTS = _BUNDLES / "echart" / "dist"

STYLE = _ASSETS / "days.css"


class Days(
    Element,
    component=_ASSETS / "days.js",
    esm={"gampong-days": str(_ASSETS / "days"), "nicegui-echart": str(_ECHARTS)},
):
    """Hands what was reckoned to the page's parts; draws nothing."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._props["name"] = name
        self._shown: Told | None = None

    def show(self, told: Told) -> None:
        """Hand it on where it is something else."""
        if told == self._shown:
            return
        self._shown = told
        why = msgspec.json.encode(told.why).decode()
        away = "true" if told.store_away else "false"
        figures = told.text or "null"
        self._props["told"] = f'{{"figures":{figures},"why":{why},"away":{away}}}'
        self.update()


class ParkingNow(Element, component=_ASSETS / "parking_now.js"):
    """Free, occupied, closed and unknown by zone, each bay, and what was paid today."""


class ParkingHours(Element, component=_ASSETS / "parking_hours.js"):
    """Occupancy by hour and weekday."""


class ParkingStays(Element, component=_ASSETS / "parking_stays.js"):
    """Vehicles, turnover and stays by zone; who stands too long now."""


class ParkingAhead(Element, component=_ASSETS / "parking_ahead.js"):
    """The next hours with their bounds."""


class ParkingMoney(Element, component=_ASSETS / "parking_money.js"):
    """Expected and received, by zone and day; the last payments."""


class BinsNow(Element, component=_ASSETS / "bins_now.js"):
    """Every bin: level, time to full, who must be emptied."""


class Emptied(Element, component=_ASSETS / "emptied.js"):
    """The emptyings that were recognised."""


class WasteBank(Element, component=_ASSETS / "waste_bank.js"):
    """What waste banks were brought; nothing where there is none."""


class RoundMap(Element, component=_ASSETS / "round.js", esm={"nicegui-leaflet": str(_LEAFLET)}):
    """The round: trucks to choose, ways on a map, the list. Emits `plan` (names of trucks) and
    `gpx`. `streets` is GeoJSON text."""

    def __init__(self, trucks: tuple[TruckSettings, ...], *, may: bool, streets: str) -> None:
        super().__init__()
        self.add_resource(_LEAFLET)
        self._props["trucks"] = msgspec.to_builtins(trucks)
        self._props["may"] = may
        self._props["busy"] = False
        self._props["streets"] = streets

    def set_busy(self, busy: bool) -> None:
        """Whether a round is being planned."""
        self._props["busy"] = busy
        self.update()
