"""What links with signed messages must say, before anything is opened.

In: settings. Out: nothing, or `ConfigurationError` with the key and the remedy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from devices.driver import Driver
from devices.kinds import KINDS
from devices.signature import MIDTRANS_SIGNED
from edge.link_settings import JsonTopics, LinkSettings, Signature, Webhook
from wire.configuration import ConfigurationError

if TYPE_CHECKING:
    from edge.configuration import Device, EdgeConfiguration

SECRETS_MAX = 2
_ORDER_SUFFIX = re.compile(r"[A-Za-z0-9._~-]{0,19}[A-Za-z_~-]")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def check_sender(link: LinkSettings, key: str, source: str) -> None:
    """Refuse a signature that nothing could be checked by, and a door that can't be opened.

    Raises:
        ConfigurationError: names the key and the remedy.
    """
    if isinstance(link, JsonTopics) and link.signature:
        _check_signature(link.signature, f"{key}.signature", source)
        if link.signature.time_header:
            remedy = "Leave it out: what waited at the broker would be too old"
            problem = "a message over MQTT has no time window"
            raise ConfigurationError(source, f"{key}.signature.time_header", problem, remedy)
        if link.signature.scheme == "token":
            remedy = "Take hmac-sha256: every reader of the topic would know the token"
            raise ConfigurationError(source, f"{key}.signature.scheme", "not over MQTT", remedy)
    if not isinstance(link, Webhook):
        return
    _check_signature(link.signature, f"{key}.signature", source)
    try:
        host, _ = link.where
    except ValueError as error:
        remedy = "Give 127.0.0.1:8092"
        raise ConfigurationError(source, f"{key}.listen", str(error), remedy) from error
    if not host:
        raise ConfigurationError(source, f"{key}.listen", "no host", "Give 127.0.0.1:8092")
    for name, value, low, high in (
        ("amount_idr_max", link.amount_idr_max, 1, 1_000_000_000),
        ("body_bytes_max", link.body_bytes_max, 256, 64 * 1024),
        ("request_s", link.request_s, 0.1, 60),
    ):
        if not low <= value <= high:
            problem = f"{value} not in {low}..{high}"
            raise ConfigurationError(source, f"{key}.{name}", problem, "Choose within")


def check_sender_of(
    configuration: EdgeConfiguration,
    device: Device,
    driver: Driver,
    link: LinkSettings,
    key: str,
    source: str,
) -> None:
    """A webhook takes events only: with a number and a time of their own. Of Midtrans's only what
    it signs may say which event it is and what it is worth.

    Raises:
        ConfigurationError: names the key and the remedy.
    """
    number = KINDS[driver.kind].number
    if isinstance(link, Webhook) and not number:
        kinds = ", ".join(kind.name for kind in KINDS.values() if kind.number)
        problem = f"a {driver.kind} has no number of its own"
        raise ConfigurationError(source, f"{key}.driver", problem, f"Map one of: {kinds}")
    signature = getattr(link, "signature", None)
    field_map = configuration.field_map.get(device.driver)
    if signature is None or signature.scheme != "midtrans" or field_map is None:
        return
    for name in KINDS[driver.kind].needs:
        mapped = field_map.fields[name].from_
        if mapped not in MIDTRANS_SIGNED:
            remedy = f"Map it from one of: {', '.join(MIDTRANS_SIGNED)}"
            problem = f"{mapped!r} isn't signed by Midtrans"
            where = f"field_map.{device.driver}.fields.{name}"
            raise ConfigurationError(source, where, problem, remedy)


def _check_signature(signature: Signature, key: str, source: str) -> None:
    count = len(signature.secret_files)
    if not 1 <= count <= SECRETS_MAX or len(set(signature.secret_files)) != count:
        remedy = "Name one file, or two while one secret follows the other"
        raise ConfigurationError(source, f"{key}.secret_files", f"{count} of them", remedy)
    for name, text in (("header", signature.header), ("time_header", signature.time_header)):
        if (text or name == "header") and _HEADER.fullmatch(text) is None:
            remedy = "Give letters, digits and -"
            raise ConfigurationError(source, f"{key}.{name}", f"{text!r} isn't one", remedy)
    if signature.time_header and signature.scheme in ("midtrans", "token"):
        problem = f"{signature.scheme} signs no time of its own"
        raise ConfigurationError(source, f"{key}.time_header", problem, "Leave it out")
    if signature.order_suffix and signature.scheme != "midtrans":
        problem, remedy = f"{signature.scheme} signs the whole event", "Leave it out"
        raise ConfigurationError(source, f"{key}.order_suffix", problem, remedy)
    if signature.order_suffix and _ORDER_SUFFIX.fullmatch(signature.order_suffix) is None:
        remedy = "Give letters, digits and -_~., the last one neither a digit nor a dot"
        problem = f"{signature.order_suffix!r} isn't one"
        raise ConfigurationError(source, f"{key}.order_suffix", problem, remedy)
    if not 1 <= signature.within_s <= 86_400:
        problem = f"{signature.within_s} not in 1..86400"
        raise ConfigurationError(source, f"{key}.within_s", problem, "Choose within")
