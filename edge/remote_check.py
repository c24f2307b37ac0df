"""May this configuration come from afar? And: is it one at all, with every file it names.

In: a text; for one from the cloud, the one in force. Out: the configuration, or the reason why not.
`checked` is what `gampong edge check` and `gampong edge run` do, so that nothing that is applied
remotely is looked at less closely than what a technician writes.

From afar can be changed: the gateway's label and place, `[outbox]` but its place and towards less
room, `[uplink]`, links, devices, register maps and field maps. Everything else can only be changed
at the site: who this is (certificates are bound to it), the broker and TLS (a wrong one can't be
taken back from afar), the gateway's own page and its PIN, addresses that are listened on, whom to
believe about the time, and how remote configuration itself works. A table that is added one day is
among these until somebody has thought about it.

A link that names a file (a password, a key, a community) or listens has to be there already, just
as it is, and so has a vendor's decoder: else whoever rules the cloud could have any file of the
gateway sent to any address, or run, or a door opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from edge.broker import password, ssl_context
from edge.configuration import EdgeConfiguration, load_configuration
from edge.link_files import check_files
from wire.configuration import Broker, ConfigurationError
from wire.remote import TEXT_BYTES_MAX, Desired, text_digest

FROM_AFAR = ("gateway", "outbox", "uplink", "link", "device", "register_map", "field_map")
AT_THE_SITE = "can only be changed at the site"
_FILES_AND_DOORS = ("_file", "_files", "_path", "listen")


def checked(text: str, source: str) -> EdgeConfiguration:
    """The configuration, with every file it names looked at.

    Raises:
        ConfigurationError: names file, key and remedy.
    """
    configuration = load_configuration(text, source)
    for broker in brokers_of(configuration):
        ssl_context(broker)
        password(broker)
    check_files(configuration)
    return configuration


def brokers_of(configuration: EdgeConfiguration) -> list[Broker]:
    """The cloud's, and those of links that speak MQTT 5."""
    brokers = (getattr(link, "broker", None) for link in configuration.link)
    return [configuration.broker, *(one for one in brokers if isinstance(one, Broker))]


def refusal_of(desired: Desired, text: str, now: EdgeConfiguration) -> str:
    """Why this gateway won't have it, "" when it may be tried. `text` is the file in force, `now`
    what it says."""
    if len(desired.text.encode()) > TEXT_BYTES_MAX:
        return f"larger than {TEXT_BYTES_MAX} bytes"
    if desired.base and desired.base != text_digest(text):
        return "made from another text than the gateway has: get it, and make the change again"
    try:
        wanted = checked(desired.text, "desired")
    except ConfigurationError as error:
        return str(error)
    return next(_objections(wanted, now), "")


def _objections(wanted: EdgeConfiguration, now: EdgeConfiguration) -> Iterator[str]:
    for name in EdgeConfiguration.__struct_fields__:
        if name not in FROM_AFAR and getattr(wanted, name) != getattr(now, name):
            yield f"[{name}] {AT_THE_SITE}"
    for name in ("name", "site"):
        if getattr(wanted.gateway, name) != getattr(now.gateway, name):
            yield f"gateway.{name} {AT_THE_SITE}"
    if wanted.outbox.path != now.outbox.path:
        yield f"outbox.path {AT_THE_SITE}: what waits is there"
    if wanted.outbox.bytes_max < now.outbox.bytes_max:
        yield "outbox.bytes_max can only grow from afar: less room would cost what waits"
    for link in wanted.link:
        if link not in now.link and (key := _names_a_file(msgspec.to_builtins(link))):
            yield f"link {link.name} has {key}: such links {AT_THE_SITE}"
    decoders = {one.decoder for one in now.field_map.values()} | {""}
    for key, field_map in wanted.field_map.items():
        if field_map.decoder not in decoders:
            yield f"field_map.{key}.decoder {AT_THE_SITE}"


def _names_a_file(value: Any) -> str:
    """The first key in it that names a file or a door and isn't empty, or ""."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner and str(key).endswith(_FILES_AND_DOORS):
                return str(key)
            if found := _names_a_file(inner):
                return found
        return ""
    if isinstance(value, list | tuple):
        return next(filter(None, map(_names_a_file, value)), "")
    return ""
