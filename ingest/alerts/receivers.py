"""Telegram, e-mail, webhook: one message out, and what became of it.

A receiver answers `Taken`, or `Away` with a reason for the log and, where it says so, for how long.
A refusal that trying again won't mend (a wrong chat, a bad address) is an `Away` too: it is counted
and tried again, ever more slowly, since only people can mend it. No secret stands in a reason:
Telegram's address holds the token.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ingest.alerts.message import Message
from ingest.alerts.settings import AlertSettings, Email, Receiver, Telegram, Webhook
from wire.malformed import MALFORMED
from wire.small_file import Kept, OpenToOthers, read_secret

TIMEOUT_S = 20.0
ANSWER_BYTES_MAX = 16 * 1024
TEMPLATE_CHARACTERS_MAX = 1000
"""A WhatsApp template's parameter: at most 1,024 characters, no line break, no four spaces."""


class Taken(msgspec.Struct, frozen=True):
    """The far side has the message."""


class Away(msgspec.Struct, frozen=True):
    """It hasn't, as far as is known."""

    why: str
    retry_after_s: float = 0.0


class Sending(Protocol):
    """One receiver at work."""

    @property
    def settings(self) -> Receiver: ...

    async def send(self, message: Message) -> Taken | Away:
        """Try once, within `TIMEOUT_S`."""
        ...


class TelegramSending:
    """Bot API, `sendMessage` (core.telegram.org/bots/api#sendmessage), plain text."""

    def __init__(self, settings: Telegram, session: aiohttp.ClientSession) -> None:
        self.settings, self._session = settings, session
        self._token = _secret(settings.token_file, "alerts.telegram.token_file")

    async def send(self, message: Message) -> Taken | Away:
        """See `Sending`."""
        try:
            token = await asyncio.to_thread(self._token.now)
        except (OSError, UnicodeDecodeError, OpenToOthers) as error:
            return Away(f"token file: {type(error).__name__}")
        body = {
            "chat_id": self.settings.chat,
            "text": message.text,
            "link_preview_options": {"is_disabled": True},
        }
        url = f"{self.settings.api_url.rstrip('/')}/bot{token}/sendMessage"
        return await _post(self._session, url, body, {}, hidden=token)


class WebhookSending:
    """A POST of JSON, ours or WhatsApp's; with WhatsApp one for each number, in turn."""

    def __init__(self, settings: Webhook, session: aiohttp.ClientSession) -> None:
        self.settings, self._session = settings, session
        self._token = _secret(settings.token_file, "alerts.webhook.token_file")
        self._reached: tuple[Message, set[str]] | None = None

    async def send(self, message: Message) -> Taken | Away:
        """See `Sending`. Numbers that have this message already don't get it again."""
        token, headers = "", {}
        if self.settings.token_file:
            try:
                token = await asyncio.to_thread(self._token.now)
            except (OSError, UnicodeDecodeError, OpenToOthers) as error:
                return Away(f"token file: {type(error).__name__}")
            headers["Authorization"] = f"Bearer {token}"
        if self.settings.format == "json":
            return await _post(
                self._session, self.settings.url, json_of(message), headers, hidden=token
            )
        if self._reached is None or self._reached[0] != message:
            self._reached = message, set()
        for number in self.settings.to:
            if number in self._reached[1]:
                continue
            body = whatsapp_of(message, number, self.settings.template)
            fate = await _post(self._session, self.settings.url, body, headers, hidden=token)
            if isinstance(fate, Away):
                return fate
            self._reached[1].add(number)
        return Taken()


class EmailSending:
    """SMTP in a thread of its own, with a bound on each step."""

    def __init__(self, settings: Email) -> None:
        self.settings = settings
        self._password = _secret(settings.password_file, "alerts.email.password_file")

    async def send(self, message: Message) -> Taken | Away:
        """See `Sending`."""
        try:
            await asyncio.to_thread(self._send, message)
        except smtplib.SMTPResponseException as error:
            return Away(f"{error.smtp_code} {error.smtp_error!r}"[:200])
        except (smtplib.SMTPException, OSError, UnicodeError, OpenToOthers) as error:
            return Away(f"{type(error).__name__}: {error}"[:200])
        return Taken()

    def _send(self, message: Message) -> None:
        own = self.settings
        mail = EmailMessage()
        mail["From"], mail["To"] = own.sender, ", ".join(own.to)
        mail["Subject"], mail["Date"] = f"gampong: {message.subject}", formatdate()
        mail["Message-ID"] = make_msgid(domain=own.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text, cte="quoted-printable")  # any server takes seven bits
        with self._connect() as server:
            if own.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if own.username:
                server.login(own.username, self._password.now())
            server.send_message(mail)

    def _connect(self) -> smtplib.SMTP:
        own = self.settings
        if own.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(own.host, own.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(own.host, own.port, timeout=TIMEOUT_S)


def receivers(settings: AlertSettings, session: aiohttp.ClientSession) -> dict[str, Sending]:
    """Every receiver of the configuration, by a name that stays the same over a restart."""
    named: list[tuple[str, Sending]] = [
        *((f"telegram {one.chat}", TelegramSending(one, session)) for one in settings.telegram),
        *((f"email {' '.join(one.to)}", EmailSending(one)) for one in settings.email),
        *((_webhook_name(one), WebhookSending(one, session)) for one in settings.webhook),
    ]
    found: dict[str, Sending] = {}
    for name, sending in named:
        twins = sum(other.partition(" #")[0] == name for other in found)
        found[f"{name} #{twins + 1}" if twins else name] = sending
    return found


def _webhook_name(webhook: Webhook) -> str:
    """Its host and a mark of its address, since the path of many a hook is the secret."""
    mark = hashlib.sha256(webhook.url.encode()).hexdigest()[:8]
    return " ".join(("webhook", urlsplit(webhook.url).hostname or "", mark, *webhook.to))


def json_of(message: Message) -> dict[str, object]:
    """Our own webhook's body, version 1."""
    return {
        "version": 1,
        "subject": message.subject,
        "text": message.text,
        "changes": message.entries,
        "more": message.more,
    }


def whatsapp_of(message: Message, number: str, template: str) -> dict[str, object]:
    """A message of the WhatsApp Business Cloud API (developers.facebook.com, "Send messages").

    Outside of 24 hours after somebody wrote, only a template that Meta has approved goes out: its
    body has one parameter, the text on one line. Without a template it is a text message.
    """
    body: dict[str, object] = {"messaging_product": "whatsapp", "to": number}
    if not template:
        return body | {"type": "text", "text": {"preview_url": False, "body": message.text}}
    line = " · ".join(part.strip() for part in message.text.splitlines() if part.strip())
    if len(line) > TEMPLATE_CHARACTERS_MAX:
        line = line[: TEMPLATE_CHARACTERS_MAX - 1] + "…"
    name, _, language = template.partition("/")
    component = {"type": "body", "parameters": [{"type": "text", "text": line}]}
    content = {
        "name": name,
        "language": {"code": language or "id"},
        "components": [component],
    }
    return body | {"type": "template", "template": content}


async def _post(
    session: aiohttp.ClientSession,
    url: str,
    body: Mapping[str, object],
    headers: Mapping[str, str],
    hidden: str,
) -> Taken | Away:
    try:
        async with session.post(
            url,
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json", **headers},
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            allow_redirects=False,
        ) as response:
            answer = await response.content.read(ANSWER_BYTES_MAX)
            if response.status < 300:
                return Taken()
            why = f"{response.status} {answer[:150].decode(errors='replace')}"
            return Away(_without(why, url, hidden), _retry_after_s(response, answer))
    except TimeoutError:
        return Away(f"no answer within {TIMEOUT_S:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Away(_without(f"{type(error).__name__}: {error}", url, hidden)[:200])


def _retry_after_s(response: aiohttp.ClientResponse, answer: bytes) -> float:
    """What a 429 asks for: Telegram's `parameters.retry_after`, or the header."""
    try:
        asked = msgspec.json.decode(answer, type=_Answer).parameters.retry_after
    except MALFORMED:
        asked = 0.0
    header = response.headers.get("Retry-After", "")
    return min(3600.0, max(asked, float(header) if header.isdigit() else 0.0))


class _Parameters(msgspec.Struct):
    retry_after: float = 0.0


class _Answer(msgspec.Struct):
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


def _without(text: str, *hidden: str) -> str:
    for secret in filter(None, hidden):
        text = text.replace(secret, "…")
    return text


def _secret(file: str, key: str) -> Kept[str]:
    return Kept(lambda: read_secret(file, key).decode().strip())
