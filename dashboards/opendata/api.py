"""The addresses under `/api/v1`: latest state, zones, history, NGSI-LD entities. Read only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from dashboards.archive import BusyError
from dashboards.device import Device
from dashboards.opendata.asking import (
    NAME,
    AskedError,
    EntitiesQuery,
    HistoryQuery,
    Kind,
    NoQuery,
    StateQuery,
    ZonesQuery,
    question,
    said,
)
from dashboards.opendata.city import City
from dashboards.opendata.entities import KIND_OF, EntityType, entities
from dashboards.opendata.formats import MEDIA, Format, Table, written
from dashboards.opendata.guard import PROBLEM, problem
from dashboards.opendata.history import STEPS, History
from dashboards.opendata.public import PUBLIC, fields_of
from dashboards.opendata.records import moment, record, states_of
from dashboards.opendata.shelf import Made, Shelf
from ingest.stores import Bucket, StoreError

RETRY_S = 5
LD_JSON = "application/ld+json"
_PLACE = ("latitude", "longitude")
_DEVICE = ("device", "kind", "label", "site", "zone", *_PLACE, "state", "time")
_ZONE = ("kind", "site", "zone", *_PLACE, "devices", "number", "filling_level", "time")
_MOMENT = ("time", "device", "site", "zone")

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_OBJECT: dict[str, Any] = {"type": "object", "required": ["licence", "licence_url", "publisher"]}


def _refused(what: str) -> dict[str, Any]:
    return {"description": what, "content": {PROBLEM: {"schema": _PROBLEM}}}


def _answers(*media: str, missing: bool = False, away: bool = True) -> dict[int | str, Any]:
    """What an address can answer, for OpenAPI."""
    list_ = {"type": "array", "items": {"type": "object"}}
    content = {
        each: {"schema": list_ if each == LD_JSON and not missing else _OBJECT}
        for each in media
        if not each.startswith("text/csv")
    }
    if missing and LD_JSON in content:
        content[LD_JSON] = {"schema": {"type": "object", "required": ["id", "type"]}}
    if any(each.startswith("text/csv") for each in media):
        content["text/csv"] = {"schema": {"type": "string"}}
    found: dict[int | str, Any] = {
        200: {"description": "What is known; its age is now less `time`", "content": content},
        304: {"description": "What `If-None-Match` names is still so"},
        414: _refused("The address is too long"),
        422: _refused("A parameter that can't be used, and why"),
        429: _refused("Too many requests: see Retry-After"),
    }
    if missing:
        found[404] = _refused("There is no such thing")
    if away:
        last = {**content, PROBLEM: {"schema": _PROBLEM}}
        what = "The store is away: the last state with its age, or nothing yet; see Retry-After"
        found[503] = {"description": what, "content": last}
    return found


_ALL = tuple(MEDIA.values())


def router(city: City, history: History, shelf: Shelf) -> APIRouter:
    """The API over a city."""
    routes = APIRouter(prefix="/api/v1", default_response_class=Response)
    _add_state(routes, city, shelf)
    _add_history(routes, city, history)
    _add_entities(routes, city, shelf)

    @routes.get("", summary="What there is", responses=_answers(_ALL[0], away=False))
    async def about(request: Request, asked: Annotated[NoQuery, Query()]) -> Response:
        kinds = {
            kind: {"states": states_of(kind), "fields": PUBLIC[kind]}
            for kind in city.settings.kinds
        }
        body = {
            **city.about(), "kinds": kinds, "people_step": city.settings.people_step,
            "addresses": [f"/api/v1/{name}" for name in ("state", "zones", "history", "entities")],
        }  # fmt: skip
        made = Made(msgspec.json.encode(body), 0.0, 0)
        return answered(request, made, MEDIA[Format.JSON], {}, away=False)

    return routes


def _add_state(routes: APIRouter, city: City, shelf: Shelf) -> None:
    @routes.get("/state", summary="Every device now", responses=_answers(*_ALL))
    async def state(request: Request, asked: Annotated[StateQuery, Query()]) -> Response:
        found = city.devices(kind=asked.kind, site=asked.site, zone=asked.zone)
        first = bisect_right(found, asked.after or "", key=lambda each: each.name)
        page, links = found[first : first + asked.limit], {}
        if len(found) > first + asked.limit:
            links = _next(request, after=page[-1].name)

        def make() -> bytes:
            kinds = [asked.kind] if asked.kind else city.settings.kinds
            fields = dict.fromkeys(name for kind in kinds for name in PUBLIC[kind])
            about = {**city.about(), "next": links.get("next")}
            records = city.records(page)
            return written(Table(about, "devices", records, _DEVICE, tuple(fields)), asked.format)

        return _kept(request, city, shelf, MEDIA[asked.format], make, links)

    @routes.get(
        "/state/{device}", summary="One device now", responses=_answers(*_ALL[:1], missing=True)
    )
    async def one(
        request: Request,
        device: Annotated[str, Path(pattern=NAME, max_length=64)],
        asked: Annotated[NoQuery, Query()],
    ) -> Response:
        found = city.device(device)
        if found is None:
            return refused(503 if city.away and not city.read_ms else 404, "No such device")

        def make() -> bytes:
            now_ms, step = city.clock.now_ms(), city.settings.people_step
            return msgspec.json.encode({**city.about(), "device": record(found, now_ms, step)})

        return _kept(request, city, shelf, MEDIA[Format.JSON], make, {})

    @routes.get("/zones", summary="Every zone now, counted", responses=_answers(*_ALL))
    async def zones(request: Request, asked: Annotated[ZonesQuery, Query()]) -> Response:
        def make() -> bytes:
            found = city.zones(city.devices(kind=asked.kind, site=asked.site))
            kinds = [asked.kind] if asked.kind else city.settings.kinds
            states = dict.fromkeys(state.value for kind in kinds for state in states_of(kind))
            table = Table(city.about(), "zones", found, _ZONE, tuple(states), "states")
            return written(table, asked.format)

        return _kept(request, city, shelf, MEDIA[asked.format], make, {})


def _add_history(routes: APIRouter, city: City, history: History) -> None:
    @routes.get(
        "/history/{kind}",
        summary="Readings, hours or days",
        responses=_answers(*_ALL, missing=True),
    )
    async def rows(
        request: Request, kind: Kind, asked: Annotated[HistoryQuery, Query()]
    ) -> Response:
        if kind not in city.settings.kinds:
            return refused(404, "Not public", f"{kind.value} isn't published here")
        try:
            asked_for = question(kind.value, asked, city.clock.now_ms())
        except AskedError as error:
            return refused(422, "A parameter can't be used", str(error))
        of_kind = city.devices(kind=kind)
        try:
            page = await history.ask(asked_for, len(of_kind) + 100)
        except BusyError:
            return refused(503, "Too many questions of history at once")
        except StoreError:
            return refused(503, "The store is away", "State is still told at /api/v1/state")
        links = {}
        if page.next_stop_ms is not None:
            edges = said(msgspec.structs.replace(asked_for, stop_ms=page.next_stop_ms))
            links = _next(request, start=str(edges["start"]), stop=str(edges["stop"]))
        places = {
            each.name: (each.longitude, each.latitude)
            for each in of_kind
            if each.longitude is not None and each.latitude is not None
        }
        table = Table(
            about={**city.about(), **said(asked_for), "next": links.get("next")},
            name="rows",
            records=[moment(row, city.settings.people_step) for row in page.rows],
            columns=_MOMENT,
            fields=fields_of(kind, summed=STEPS[asked.step].bucket is Bucket.HOURLY),
            places=places,
        )
        made = Made(written(table, asked.format), 0.0, 0)
        return answered(request, made, MEDIA[asked.format], links, away=False)


def _add_entities(routes: APIRouter, city: City, shelf: Shelf) -> None:
    def of(type_: EntityType, devices: list[Device]) -> list[dict[str, Any]]:
        return entities(type_, city.records(devices), city.zones(devices))

    def named(type_: EntityType, name: str) -> list[Device]:
        if type_ is EntityType.ON_STREET_PARKING:
            site, _, zone = name.partition(":")
            return city.devices(kind=KIND_OF[type_], site=site, zone=zone)
        found = city.device(name)
        return [found] if found and found.kind == KIND_OF[type_] else []

    @routes.get("/entities", summary="NGSI-LD entities", responses=_answers(LD_JSON))
    async def several(request: Request, asked: Annotated[EntitiesQuery, Query()]) -> Response:
        devices = city.devices(kind=KIND_OF[asked.type])
        links: dict[str, str] = {}
        if len(devices) > asked.offset + asked.limit:
            links = _next(request, offset=str(asked.offset + asked.limit))

        def make() -> bytes:
            found = of(asked.type, devices)
            return msgspec.json.encode(found[asked.offset :][: asked.limit])

        return _kept(request, city, shelf, LD_JSON, make, links)

    @routes.get(
        "/entities/{entity}", summary="One entity", responses=_answers(LD_JSON, missing=True)
    )
    async def entity(
        request: Request,
        entity: Annotated[str, Path(pattern=r"^urn:ngsi-ld:[A-Za-z]+:[a-z0-9:_-]{1,129}$")],
        asked: Annotated[NoQuery, Query()],
    ) -> Response:
        type_, name = entity.split(":", 3)[2:]
        known = type_ in tuple(EntityType)
        found = of(EntityType(type_), named(EntityType(type_), name)) if known else []
        if not found:
            return refused(503 if city.away and not city.read_ms else 404, "No such entity")
        return _kept(request, city, shelf, LD_JSON, lambda: msgspec.json.encode(found[0]), {})


def _kept(
    request: Request,
    city: City,
    shelf: Shelf,
    media: str,
    make: Callable[[], bytes],
    links: Mapping[str, str],
) -> Response:
    """From the shelf, or made anew; 503 with the last state while the store is away."""
    asked: Hashable = (request.url.path, request.url.query)
    return answered(request, shelf.get(asked, city.version, make), media, links, away=city.away)


def answered(
    request: Request, made: Made, media: str, links: Mapping[str, str], *, away: bool
) -> Response:
    """The body, or that who asks has it already."""
    headers = {"ETag": made.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if links:
        headers["Link"] = ", ".join(f'<{to}>; rel="{name}"' for name, to in links.items())
    if away:
        return Response(made.body, 503, {**headers, "Retry-After": str(RETRY_S)}, media)
    known = request.headers.get("if-none-match", "").replace(" ", "").split(",")
    if known == ["*"] or made.tag in known or made.tag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    body, coding = made.coded(request.headers.get("accept-encoding", ""))
    if coding:
        headers["Content-Encoding"] = coding
    return Response(body, headers=headers, media_type=media)


def refused(status: int, title: str, detail: str = "") -> Response:
    """A problem in words, never a trace."""
    headers = {"Retry-After": str(RETRY_S)} if status == 503 else {}
    return Response(problem(status, title, detail), status, headers, PROBLEM)


def _next(request: Request, **changes: str) -> dict[str, str]:
    """The address of the next page; relative, since a proxy may stand in front."""
    asked = dict(request.query_params) | changes
    return {"next": f"{request.url.path}?{urlencode(sorted(asked.items()))}"}
