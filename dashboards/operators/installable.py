"""The Command Center's plain files, and what a phone needs to install it to its home screen."""

from __future__ import annotations

from pathlib import Path

import msgspec
from fastapi import FastAPI, Request, Response

from dashboards.operators.door import FILES, entrance_of
from dashboards.texts import words

HERE = Path(__file__).with_name("assets")
ICON = (HERE / "icon.svg").read_text(encoding="utf-8")
_KEPT = {"cache-control": "public, max-age=3600"}


def add_files(app: FastAPI) -> None:
    """Their addresses: read once, open to everybody, nothing of the city in them."""
    files = {name: (HERE / name).read_bytes() for name in FILES}

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        if name not in files:
            return Response("No such file", 404, media_type="text/plain")
        return Response(files[name], headers=_KEPT, media_type=FILES[name])

    @app.get("/manifest.webmanifest")
    async def manifest(request: Request) -> Response:
        language = entrance_of(request.scope).language
        title = words(language)["page.title"]
        said = {
            "id": "/",
            "name": title,
            "short_name": "Gampong",
            "lang": language.value,
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": "#efece4",
            "theme_color": "#0072b2",
            "icons": [
                {"src": "/assets/icon.svg", "sizes": "any", "type": "image/svg+xml"},
                {"src": "/assets/icon-192.png", "sizes": "192x192", "type": "image/png"},
                {
                    "src": "/assets/icon-512.png",
                    "sizes": "512x512",
                    "type": "image/png",
                    "purpose": "any maskable",
                },
            ],
        }
        return Response(msgspec.json.encode(said), media_type="application/manifest+json")
