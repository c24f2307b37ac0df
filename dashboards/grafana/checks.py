"""What can be wrong with a built dashboard, found before it goes anywhere. Pure.

* it isn't what Grafana's types say (read back through the SDK, it must come out the same);
* an id twice, or two panels on one place of the grid;
* a measurement, field or tag in a query that the kinds don't define, a name nobody gave;
* a variable that isn't there, a source that isn't ours.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.grafana.ask import SOURCES
from dashboards.grafana.panel import GRID_WIDTH
from ingest.stores.points import TAGS, kinds_of

Json = dict[str, Any]
_FIELD = re.compile(r'"([^"]+)"::field')
_TAG = re.compile(r'"([^"]+)"::tag')
_FROM = re.compile(r'FROM "([^"]+)"')
_GIVEN = re.compile(r'AS "([^"]+)"')
_NAME = re.compile(r'"([^"]+)"')
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
_BUILT_IN = {"__to", "__from", "__interval", "timeFilter"}


def problems(dashboard: Json) -> Iterator[str]:
    """Everything wrong with it, a sentence each."""
    uid = dashboard.get("uid", "a dashboard")
    panels = dashboard["panels"]
    for number, count in Counter(panel["id"] for panel in panels).items():
        if count > 1:
            yield f"{uid}: {count} panels have the id {number}"
    yield from (f"{uid}: {each}" for each in _places(panels))
    yield from (f"{uid}: {each}" for each in _types(dashboard))
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    for name, target in targets(dashboard):
        yield from (f"{uid}, {name}: {each}" for each in query_problems(target, variables))


def targets(dashboard: Json) -> Iterator[tuple[str, Json]]:
    """Every question with the name of who asks it: panels and annotations."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets") or ():
            yield panel["title"], target
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], {**annotation["target"], "datasource": annotation["datasource"]}


def _places(panels: list[Json]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place, title = panel["gridPos"], str(panel["title"])
        if place["x"] + place["w"] > GRID_WIDTH:
            yield f"{title!r} stands over the right edge"
        cells = [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        for other in sorted({taken[cell] for cell in cells if cell in taken}):
            yield f"{title!r} lies on {other!r}"
        taken.update(dict.fromkeys(cells, title))


def _types(dashboard: Json) -> Iterator[str]:
    """Read back through the SDK's types: whatever they don't know is gone then."""
    read = models.Dashboard.from_json(dashboard)
    again = json.loads(JSONEncoder().encode(read))
    for path in _lost(dashboard, again, ""):
        # The SDK's annotation has no place for a query; `boards.Marks` adds it.
        if not path.startswith(".annotations.list"):
            yield f"{path} isn't of Grafana's types"


def _lost(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key, value in one.items():
            if key not in other:
                yield f"{path}.{key}"
            else:
                yield from _lost(value, other[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _lost(a, b, f"{path}[{index}]")
    elif one != other:
        yield path


def query_problems(target: Json, variables: set[str]) -> Iterator[str]:
    """What a question asks that the kinds don't define."""
    buckets = {uid: bucket for bucket, uid in SOURCES.items()}
    bucket = buckets.get(target["datasource"]["uid"])
    if bucket is None:
        yield f"no data source {target['datasource']['uid']!r}"
        return
    text, kinds = target["query"], kinds_of(bucket)
    for measurement in _FROM.findall(text):
        if measurement not in kinds:
            yield f"{bucket} has no {measurement!r}"
            return
        fields = kinds[measurement].fields
        yield from (
            f"{measurement} has no field {name!r}"
            for name in _FIELD.findall(text)
            if name not in fields
        )
    yield from (f"no tag {name!r}" for name in _TAG.findall(text) if name not in TAGS)
    known = {*TAGS, *_GIVEN.findall(text), *_FROM.findall(text)}
    bare = _NAME.findall(_TAG.sub("", _FIELD.sub("", text)))
    yield from (f"nobody has named {name!r}" for name in bare if name not in known)
    for braced, plain in _VARIABLE.findall(text):
        if (braced or plain) not in _BUILT_IN | variables:
            yield f"no variable {braced or plain!r}"
