"""The page's parts: each is a small Vue component of ours beside this file, in `assets/`.

They share one live state in the browser (`assets/live/index.js`), which `LiveCity` begins with a
snapshot (`/api/board`) and patches keep up to date; a part only draws what it is about. Leaflet and
ECharts come from NiceGUI's own bundles, so nothing is fetched from anywhere else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import nicegui
from nicegui.element import Element

_ASSETS = Path(__file__).with_name("assets")
_BUNDLES = Path(nicegui.__file__).parent / "elements"
_LEAFLET = _BUNDLES / "leaflet" / "dist"
_ECHARTS = _BUNDLES / "echart" / "dist"

STYLE = _ASSETS / "page.css"
STREETS = _ASSETS / "streets.geojson"


class Setting(msgspec.Struct, frozen=True):
    """What a page is told once, beside the snapshot.

    Args:
        language: `id` or `en`.
        words: `section.key` → text.
        states: kind → its states, in order.
        glyphs: state → glyph.
        units: field → unit.
        rate: city seconds a second.
        notes: what the footer says, part by part.
        live: whether the browser follows the whole city, or only its time and its store's state.
    """

    language: str
    words: dict[str, str]
    states: dict[str, tuple[str, ...]]
    glyphs: dict[str, str]
    units: dict[str, str]
    rate: float
    notes: list[str]
    live: bool


class LiveCity(
    Element,
    component=_ASSETS / "live_city.js",
    esm={"gampong-live": str(_ASSETS / "live")},
):
    """Begins the live state; draws nothing. `setting` is JSON text."""

    def __init__(self, setting: str) -> None:
        super().__init__()
        self._props["setting"] = setting


class Header(Element, component=_ASSETS / "header.js"):
    """Title, the ways to the other pages, city time, who looks. `shell` is JSON text."""

    def __init__(self, shell: str) -> None:
        super().__init__()
        self._props["shell"] = shell


class AlarmStrip(Element, component=_ASSETS / "alarm_strip.js"):
    """What fires, the worst first, in one line above the page. `alarms` is JSON text."""

    def __init__(self, alarms: str) -> None:
        super().__init__()
        self.show(alarms)

    def show(self, alarms: str) -> None:
        """Replace what it says, where it is something else."""
        if self._props.get("alarms") != alarms:
            self._props["alarms"] = alarms
            self.update()


class Banner(Element, component=_ASSETS / "banner.js"):
    """Says when the store or the page itself is away, and when there is no data yet."""


class Tiles(Element, component=_ASSETS / "tiles.js"):
    """The four headline numbers."""


class CityMap(Element, component=_ASSETS / "city_map.js", esm={"nicegui-leaflet": str(_LEAFLET)}):
    """A map for each site, with a marker for each device; `streets` is GeoJSON text."""

    def __init__(self, streets: str) -> None:
        super().__init__()
        self.add_resource(_LEAFLET)
        self._props["streets"] = streets


class Gateways(Element, component=_ASSETS / "gateways.js"):
    """Each gateway: heard or not, how far behind, its ledger."""


class Occupancy(Element, component=_ASSETS / "occupancy.js", esm={"nicegui-echart": str(_ECHARTS)}):
    """How full parking was in the last hours, by site."""


class Readings(Element, component=_ASSETS / "readings.js"):
    """The last readings as they arrive."""


class Footer(Element, component=_ASSETS / "footer.js"):
    """Which city, broker and store this is, and its time."""
