"""The public process: one web server, one feed, one reader of history, an end within a second.

asyncio.run(serve(settings, clock, ready=print))
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dashboards.feed import Feed
from dashboards.opendata.api import answered, refused, router
from dashboards.opendata.city import City
from dashboards.opendata.configuration import OpenDataConfiguration
from dashboards.opendata.guard import Guard, Rates, problem
from dashboards.opendata.history import History
from dashboards.opendata.page import HERE, PublicPage, manifest, style
from dashboards.opendata.shelf import Made, Shelf
from dashboards.serving import Server, listen
from dashboards.store_file import open_source
from dashboards.texts import Language
from wire.clock import Clock

_FIRST_LOOK_S = 2.0  # so that the first viewer sees the city at once
_DETAIL_MAX = 200
_LOOKS = ["GET", "HEAD"]  # monitors ask with HEAD
_HTML = "text/html; charset=utf-8"
_ASSETS = {"public.css": "text/css", "public.js": "text/javascript", "icon.svg": "image/svg+xml"}


async def serve(
    settings: OpenDataConfiguration, clock: Clock, *, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the address once it answers.

    Raises:
        OSError: the address can't be had.
    """
    with listen(settings.host, settings.port) as (listening, address):
        source = partial(open_source, settings.store, clock)
        feed, history = Feed(source, clock), History(source)
        server = Server(
            application(City(feed, settings), history),
            lambda: ready(address),
            live=False,
            proxies=settings.trusted_proxies,
        )
        server.end_by_signal()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(feed.run())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK_S):
                    await feed.looked.wait()
            await server.serve([listening])
            following.cancel()
            await history.close()


def application(city: City, history: History) -> FastAPI:
    """The API, the page and their guard."""
    settings = city.settings
    app = FastAPI(
        title=f"Open data: {settings.publisher or 'gampong'}",
        version="1",
        description="The city's latest state and history. No personal data; counts of people are "
        f"rounded to multiples of {settings.people_step}. Times are UTC; age is now less `time`.",
        license_info={"name": settings.licence, "url": settings.licence_url},
        docs_url=None,
        redoc_url=None,
    )
    rates = Rates(city.clock, settings.requests_a_minute, settings.burst)
    app.add_middleware(Guard, rates=rates, proxies=settings.trusted_proxies)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    app.add_exception_handler(HTTPException, _no_such_address)
    shelf = Shelf(city.clock)
    app.include_router(router(city, history, shelf))
    _add_pages(app, city, shelf)
    return app


def _add_pages(app: FastAPI, city: City, shelf: Shelf) -> None:
    page = PublicPage(city)
    assets = {name: Made((HERE / "assets" / name).read_bytes(), 0.0, 0) for name in _ASSETS}
    assets["states.css"] = Made(style(), 0.0, 0)

    @app.api_route("/", methods=_LOOKS, include_in_schema=False)
    async def whole(request: Request, lang: str = "") -> Response:
        language = Language.of(lang)
        made = shelf.get(("page", language), city.version, lambda: page.whole(language))
        return answered(request, made, _HTML, {}, away=False)

    @app.api_route("/live", methods=_LOOKS, include_in_schema=False)
    async def live(request: Request, lang: str = "") -> Response:
        language = Language.of(lang)
        made = shelf.get(("live", language), city.version, lambda: page.live(language))
        answer = answered(request, made, _HTML, {}, away=False)
        answer.headers["Gampong-Now-Ms"] = str(city.clock.now_ms())
        return answer

    @app.api_route("/manifest.webmanifest", methods=_LOOKS, include_in_schema=False)
    async def installable(request: Request) -> Response:
        made = Made(manifest(city), 0.0, 0)
        return answered(request, made, "application/manifest+json", {}, away=False)

    @app.api_route("/assets/{name}", methods=_LOOKS, include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            return refused(404, "No such address")
        return answered(request, assets[name], _ASSETS.get(name, "text/css"), {}, away=False)

    @app.api_route("/healthz", methods=_LOOKS, include_in_schema=False)
    async def health() -> Response:
        text = "store away" if city.away else "ok"
        return Response(text, 503 if city.away else 200, media_type="text/plain")


async def _wrong_parameter(request: Request, error: Exception) -> Response:
    """The first thing that is wrong, without what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])[:64]
    return refused(422, "A parameter can't be used", f"{where}: {first['msg']}"[:_DETAIL_MAX])


async def _no_such_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = {404: "No such address", 405: "Read only: GET"}.get(error.status_code, "Refused")
    return Response(
        problem(error.status_code, title),
        error.status_code,
        dict(error.headers or {}),
        "application/problem+json",
    )
