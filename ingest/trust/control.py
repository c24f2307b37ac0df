"""Tells a running mosquitto who may do what: commands to its dynamic security plugin, over MQTT.

In: commands of `access.py`. Out: nothing, once the broker has carried each out. Connects with the
administrator's certificate; a command that was carried out before ("already exists", "not found")
is as good as done, so that everything may be tried again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from ingest.broker import Connection, Door, Lost, connected
from ingest.trust.access import CONTROL_TOPIC, RESPONSE_TOPIC
from ingest.trust.issued import TrustError
from wire.malformed import MALFORMED

ANSWER_S, COMMAND_S = 5.0, 0.1
"""The plugin writes its file anew for each command."""

DONE_BEFORE = ("already exists", "not found")


class _Response(msgspec.Struct, frozen=True):
    command: str = ""
    error: str = ""


class _Responses(msgspec.Struct, frozen=True):
    responses: tuple[_Response, ...]


async def tell(door: Door, name: str, commands: Sequence[dict[str, Any]]) -> None:
    """Have the broker carry these out, in order.

    Raises:
        TrustError: it can't be reached, refuses, or doesn't answer in time.
    """
    refusals: list[str] = []
    try:
        within_s = ANSWER_S + COMMAND_S * len(commands)
        own = f"{name}-control-{secrets.token_hex(4)}"  # a known one could be taken over
        async with asyncio.timeout(within_s), connected(door, own) as connection:
            await connection.subscribe(RESPONSE_TOPIC)
            payload = msgspec.json.encode({"commands": list(commands)})
            await connection.publish(CONTROL_TOPIC, payload, 0, refusals.append)
            await _all_answered(connection, len(commands))
    except Lost as error:
        remedy = "Is the broker up, and this certificate its administrator's?"
        raise TrustError(f"{error}. {remedy}") from error
    except TimeoutError as error:
        where, said = f"{door.settings.host}:{door.settings.port}", "".join(refusals)
        why = f"takes no commands ({said})" if said else "doesn't answer commands"
        remedy = "Does its mosquitto.conf load the dynamic security plugin?"
        raise TrustError(f"{where} {why}. {remedy}") from error


async def _all_answered(connection: Connection, count: int) -> None:
    async for received in connection.messages():
        await connection.acknowledge(received)
        try:
            answers = msgspec.json.decode(received.envelope.payload, type=_Responses).responses
        except MALFORMED as error:
            raise TrustError("the broker's answer isn't the plugin's. Is it mosquitto?") from error
        for answer in answers:
            if answer.error and not any(each in answer.error.lower() for each in DONE_BEFORE):
                raise TrustError(f"the broker refuses {answer.command}: {answer.error}")
            count -= 1
        if count <= 0:
            return
