"""A gateway whose machine boots in 1970, where no certificate is good yet, over TLS: it comes in by
chain and name, sends nothing before it knows the time, and a broker of another authority learns
nothing at any time. The clock is `machine.c`'s, broker and processes are the real ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.line.certificates import Authority, Signed
from tests.line.listening import Client, until
from tests.line.street import BROKER_CONFIG, GATEWAY, Street, assert_all_stored
from tests.live.machine import Machine
from tests.processes import Gampong
from tests.servers import Mosquitto
from wire.messages import CloudTime, encode_message
from wire.topics import TIME_TOPIC

ACCESS_LIST = """
pattern readwrite gampong/v1/%u/#
pattern read gampong/v1/time
user ingestor
topic read gampong/v1/+/batch
topic read gampong/v1/+/backfill
topic write gampong/v1/+/confirm
user watch
topic write gampong/v1/time
"""
EVERY_S = 0.2
STRICT = """
import socket, ssl, sys
port, ca, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(certificate, key)
context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
"""


class City:
    """A street over TLS whose gateway is on a machine of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._city, self.other = Authority(folder / "city"), Authority(folder / "other")
        access = folder / "access.acl"
        access.write_text(ACCESS_LIST)
        served = self._city.sign("localhost").mosquitto
        config = f"{BROKER_CONFIG}\nacl_file {access}\n{served}"
        self.broker = stack.enter_context(Mosquitto(folder / "cloud", 0, config))
        ingestor = self._city.sign("ingestor").toml
        self.street = Street(folder, stack, cloud=self.broker, ingest_tls=ingestor)
        self.machine, self._stack = Machine(folder / "machine"), stack

    def configure(self, papers: Signed) -> None:
        self.street.configure_gateway(papers.toml)
        file = self.street.gateway_file
        file.write_text(file.read_text().replace('trust = "system"', 'trust = "ntp"'))

    def papers(self) -> Signed:
        return self._city.sign(GATEWAY)

    def boots_in_1970(self) -> Gampong:
        self.machine.boots_in_1970()
        words = ["edge", "run", str(self.street.gateway_file), "--drain-seconds", "2"]
        words += ["--ledger", str(self.street.folder / "ledger.json")]
        environment = self.machine.environment
        agent = Gampong("agent-1970", self.street.folder, *words, environment=environment)
        self.street.agent = self._stack.enter_context(agent)
        return agent

    def strict_answer(self) -> str:
        """What anybody who checks dates says of the broker on that machine."""
        papers = self.papers()
        command = [sys.executable, "-c", STRICT, str(self.broker.port), *map(str, papers)]
        environment = os.environ | self.machine.environment
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return run.stderr

    @contextmanager
    def watch(self) -> Iterator[None]:
        """The cloud's time, again and again, until the end of the block."""
        over = threading.Event()

        def tell() -> None:
            with Client(self.broker, self._city.sign("watch").context()) as watch:
                while not over.wait(EVERY_S):
                    now_ms = time.time_ns() // 1_000_000
                    assert watch.say(TIME_TOPIC, encode_message(CloudTime(now_ms))) < 0x80

        telling = threading.Thread(target=tell)
        telling.start()
        try:
            yield
        finally:
            over.set()
            telling.join()


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with ExitStack() as stack:
        yield City(tmp_path, stack)


@pytest.mark.live
def test_in_1970_a_gateway_comes_in_over_tls_and_sends_once_it_knows_the_time(city: City) -> None:
    city.street.start_ingestor()
    city.configure(city.papers())
    agent = city.boots_in_1970()
    assert "not yet valid" in city.strict_answer()
    agent.said("event=uplink_up")
    until(lambda: city.street.outbox().waiting_readings > 3, "readings wait")
    assert city.street.points() == {}
    with city.watch():
        agent.said("event=time_trusted by=cloud")
        until(lambda: len(city.street.points()) > 0, "readings are stored")
        ledger = city.street.stop_agent()
    assert_all_stored(ledger, city.street.points())


@pytest.mark.live
def test_in_1970_a_broker_of_another_authority_is_told_nothing_either(city: City) -> None:
    papers = city.papers()
    city.configure(papers._replace(ca_file=city.other.sign("x").ca_file))
    agent = city.boots_in_1970()
    assert "certificate verify failed" in agent.said("event=uplink_down").lower()
    until(lambda: city.street.outbox().waiting_readings > 3, "readings wait")
    assert "event=uplink_up" not in agent.log.read_text()
