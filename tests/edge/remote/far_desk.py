"""The watch's side of a gateway, for tests: wants configurations, sends commands, hears answers."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as paho

from tests.edge.uplink.far_side import WAIT_S
from tests.line.listening import Client
from tests.servers import Server
from wire.clock import SystemClock
from wire.messages import decode_message, pack_message
from wire.remote import Applied, Ask, Command, CommandResult, Desired
from wire.topics import Leaf, topic


class FarDesk(Client):
    """`applied` and `results` in the order in which they came."""

    def __init__(self, broker: Server, gateway: str) -> None:
        super().__init__(broker)
        self._gateway = gateway
        self.topics = (topic(gateway, Leaf.CONFIG_APPLIED), topic(gateway, Leaf.COMMAND_RESULT))
        self.applied: list[Applied] = []
        self.results: list[CommandResult] = []

    def want(self, version: int, text: str, base: str = "") -> None:
        """Retain a configuration."""
        desired = pack_message(Desired(version, text, base, "ops"))
        name = topic(self._gateway, Leaf.CONFIG)
        self._client.publish(name, desired, qos=1, retain=True).wait_for_publish(WAIT_S)

    def ask(
        self, id_: str, ask: Ask, target: str = "", value: float = 0.0, for_s: float = 60.0
    ) -> None:
        """Send a command that is good for so long."""
        until_ms = SystemClock().now_ms() + int(1000 * for_s)
        command = pack_message(Command(id_, ask, until_ms, target, value))
        name = topic(self._gateway, Leaf.COMMAND)
        self._client.publish(name, command, qos=1).wait_for_publish(WAIT_S)

    def states(self) -> list[str]:
        """What was said of configurations, each change once."""
        said = [f"{one.version} {one.state}" for one in self.applied]
        return [one for at, one in enumerate(said) if at == 0 or said[at - 1] != one]

    def _arrived(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic.endswith(Leaf.CONFIG_APPLIED):
            self.applied.append(decode_message(payload, Applied))
        else:
            self.results.append(decode_message(payload, CommandResult))
