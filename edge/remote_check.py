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
gateway sent to any address, or run, or a door opened. Nor may such a link become another of the
same name that goes without, a signed one go, or its devices move to one that is signed otherwise,
or be retired, to be added again where nobody signs; nor may payments and other events that are
counted one by one come to a link that isn't signed, unless a technician has put such there: else
anybody's payments would be believed. No file is opened before all of this is known, so that
a text from afar can't have the agent read anything, nor learn from the answer what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from devices.kinds import KINDS
from edge.broker import password, ssl_context
from edge.configuration import Device, EdgeConfiguration, load_configuration
from edge.drivers import driver_of
from edge.link_files import check_files
from edge.link_settings import LinkSettings, Signature
from wire.configuration import Broker, ConfigurationError
from wire.remote import TEXT_BYTES_MAX, Desired, text_digest
from wire.small_file import check_secret

FROM_AFAR = ("gateway", "outbox", "uplink", "link", "device", "register_map", "field_map")
AT_THE_SITE = "can only be changed at the site"
_FILES_AND_DOORS = ("_file", "_files", "_path", "listen")


def checked(text: str, source: str) -> EdgeConfiguration:
    """The configuration, with every file it names looked at.

    Raises:
        ConfigurationError: names file, key and remedy.
    """
    configuration = load_configuration(text, source)
    _look_at_files(configuration)
    return configuration


def _look_at_files(configuration: EdgeConfiguration) -> None:
    for broker in brokers_of(configuration):
        ssl_context(broker)
        password(broker)
    check_files(configuration)
    if configuration.page.host:
        check_secret(configuration.page.pin_file, "page.pin_file")


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
        wanted = load_configuration(desired.text, "desired")
        if objection := next(_objections(wanted, now), ""):
            return objection
        _look_at_files(wanted)  # all of them are files of the configuration in force
    except ConfigurationError as error:
        return str(error)
    return ""


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
    yield from _weakened(wanted, now)
    decoders = {one.decoder for one in now.field_map.values()} | {""}
    for key, field_map in wanted.field_map.items():
        if field_map.decoder not in decoders:
            yield f"field_map.{key}.decoder {AT_THE_SITE}"


def _weakened(wanted: EdgeConfiguration, now: EdgeConfiguration) -> Iterator[str]:
    """What guards a link now, and wouldn't any more."""
    wanted_links = {link.name: link for link in wanted.link}
    signatures = {link.name: _signature(link) for link in now.link}
    for link in now.link:
        other = wanted_links.get(link.name)
        if other is None and signatures[link.name] is not None:
            yield f"link {link.name} is signed: it {AT_THE_SITE}"
        key = _names_a_file(msgspec.to_builtins(link))
        if other is not None and other != link and key:
            yield f"link {link.name} has {key} now: such links {AT_THE_SITE}"
    wanted_devices = {device.name: device for device in wanted.device}
    for device in now.device:
        signature, kept = signatures[device.link], wanted_devices.get(device.name)
        if signature is None:
            continue
        if kept is None:
            yield f"device {device.name} has a signed link: whether it is there {AT_THE_SITE}"
        elif _signature(wanted_links[kept.link]) != signature:
            yield f"device {device.name} has a signed link: that it has {AT_THE_SITE}"
    believed = {device.link for device in now.device if _is_counted(now, device)}
    for device in wanted.device:
        link = wanted_links[device.link]
        open_to_all = _signature(link) is None and not (link in now.link and link.name in believed)
        if open_to_all and _is_counted(wanted, device):
            kind = driver_of(wanted, device).kind
            what = f"device {device.name} is a {kind} of a link that isn't signed"
            yield f"{what}: that {AT_THE_SITE}"


def _is_counted(configuration: EdgeConfiguration, device: Device) -> bool:
    """Whether its readings are events with a number of their own, such as payments."""
    return bool(KINDS[driver_of(configuration, device).kind].number)


def _signature(link: LinkSettings) -> Signature | None:
    return getattr(link, "signature", None)


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
