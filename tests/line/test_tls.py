"""The line over TLS: mosquitto asks for certificates, and a gateway is what its certificate says.

The access list lets each gateway use its own topics and the time, the ingestor batches and
confirmations.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.line.certificates import EXPIRED, Authority, Signed
from tests.line.listening import Client, Ear, until
from tests.line.sensors import OCCUPIED_MM
from tests.line.street import BROKER_CONFIG, GATEWAY, Street, assert_all_stored
from tests.servers import Mosquitto
from wire.topics import Leaf, topic

NOT_AUTHORIZED = 0x87
ACCESS_LIST = """
pattern readwrite gampong/v1/%u/#
pattern read gampong/v1/time

user ingestor
topic read gampong/v1/+/batch
topic read gampong/v1/+/backfill
topic write gampong/v1/+/confirm

user operator
topic read gampong/#
"""


class Papers(NamedTuple):
    """Who shows which certificate."""

    broker: Signed
    gateway: Signed
    expired: Signed
    ingestor: Signed
    operator: Signed
    other: Signed  # the gateway's name, signed by somebody else


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    city, other = Authority(folder / "city"), Authority(folder / "other")
    return Papers(
        city.sign("localhost"),
        city.sign(GATEWAY),
        city.sign(GATEWAY, EXPIRED),
        city.sign("ingestor"),
        city.sign("operator"),
        other.sign(GATEWAY),
    )


@pytest.fixture
def cloud(tmp_path: Path, papers: Papers) -> Iterator[Mosquitto]:
    access = tmp_path / "access.acl"
    access.write_text(ACCESS_LIST)
    config = f"{BROKER_CONFIG}\nacl_file {access}\n{papers.broker.mosquitto}"
    with Mosquitto(tmp_path / "cloud", 0, config) as broker:
        yield broker


@pytest.fixture
def street(tmp_path: Path, papers: Papers, cloud: Mosquitto) -> Iterator[Street]:
    """With its ingestor; each test starts the agent with the papers it is about."""
    with ExitStack() as stack:
        line = Street(tmp_path, stack, cloud=cloud, ingest_tls=papers.ingestor.toml)
        line.start_ingestor()
        yield line


def test_readings_arrive_and_are_confirmed_over_tls(street, papers, cloud):
    street.configure_gateway(papers.gateway.toml)
    with Client(street.site) as server, Ear(cloud, GATEWAY, tls=papers.operator.context()) as ear:
        street.start_agent()
        until(lambda: ear.confirmed("bay-1", "occupied=0i", 0), "bay-1 is free")
        server.say(*street.uplink())
        until(lambda: ear.confirmed("bay-lora", "occupied=1i", 0), "bay-lora is taken")
        street.bus.distances[1] = OCCUPIED_MM
        until(lambda: ear.confirmed("bay-1", "occupied=1i", 0), "bay-1 is taken")
        until(lambda: ear.confirmed("bin-1", "distance_mm=", 0), "bin-1 is there")
    ledger = street.stop_agent()
    assert_all_stored(ledger, street.points())
    assert ledger.gaps == 0


def test_a_gateway_can_not_speak_or_listen_for_another(street, papers, cloud):
    def at(gateway: str) -> str:
        return topic(gateway, Leaf.BATCH)

    with (
        Client(cloud, papers.gateway.context()) as ours,
        Ear(cloud, "mahirah-02", tls=papers.gateway.context()) as spy,
    ):
        assert ours.say(at("mahirah-02"), b"not ours") == NOT_AUTHORIZED
        assert ours.say(at(GATEWAY), b"") < 0x80
        with Client(cloud, papers.ingestor.context()) as ingestor:
            assert ingestor.say(topic("mahirah-02", Leaf.CONFIRM), b"[]") < 0x80
            assert ingestor.say(at("mahirah-02"), b"not a gateway") == NOT_AUTHORIZED
        assert (spy.fates, spy.batches) == ({}, [])
    assert street.ingestor.stop() == 0
    assert "received=1 " in street.ingestor.tail()


def test_a_broker_of_another_authority_is_refused_and_the_agent_says_so(street, papers):
    ours = papers.gateway
    street.configure_gateway(ours._replace(ca_file=papers.other.ca_file).toml)
    street.start_agent(drain_s=0.2)
    said = street.agent.said("event=uplink_down")
    assert "certificate verify failed" in said.lower()
    readings_are_kept_and_go_when_the_papers_are_good(street, papers)


def test_an_expired_certificate_is_refused_by_the_broker_and_the_readings_are_kept(
    street, papers, cloud
):
    street.configure_gateway(papers.expired.toml)
    street.start_agent(drain_s=0.2)
    street.agent.said("event=uplink_down")
    until(lambda: "certificate verify failed" in cloud.log.read_text(), "the broker says why")
    readings_are_kept_and_go_when_the_papers_are_good(street, papers)


def readings_are_kept_and_go_when_the_papers_are_good(street: Street, papers: Papers) -> None:
    """The outbox grows over seals; after a restart with the right files all of it is stored."""
    first = until(lambda: street.outbox().waiting_readings, "readings wait")
    until(lambda: street.outbox().waiting_readings > first + 5, "more readings wait")
    assert street.agent.exit_code is None
    kept = street.stop_agent()
    assert kept.balanced
    assert (kept.stored, kept.dropped, kept.rejected) == (0, {}, {})
    assert kept.waiting == kept.accepted > 0
    assert street.points() == {}
    street.configure_gateway(papers.gateway.toml)
    street.start_agent()
    until(lambda: street.outbox().ledger.stored >= kept.waiting, "what waited is stored")
    ledger = street.stop_agent()
    assert_all_stored(ledger, street.points())
    assert (ledger.gaps, ledger.accepted > kept.accepted) == (0, True)


@pytest.mark.parametrize("words", ["edge check", "edge run", "ingest run"])
def test_the_key_of_another_certificate_ends_with_2_and_is_named_with_the_remedy(
    words, street, papers
):
    wrong = papers.gateway._replace(key_file=papers.other.key_file).toml
    street.configure_gateway(wrong)
    ingest = street.folder / "ingest.toml"
    ingest.write_text(ingest.read_text().replace(papers.ingestor.toml, wrong))
    file = ingest if words == "ingest run" else street.gateway_file
    done = gampong(*words.split(), str(file))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for named in ("broker.tls", "key_file", papers.other.key_file, papers.gateway.certificate_file):
        assert str(named) in done.stderr


def test_a_links_own_broker_is_looked_at_before_any_connection_too(street, papers):
    missing = papers.gateway._replace(key_file=street.folder / "nothing.key").toml
    text = street.gateway_file.read_text()
    tables = missing.replace("[broker.tls]", "[link.broker.tls]")
    own = f"[link.broker]\nport = {street.site.port}\n{tables}\n"
    plain = f"broker = {{ port = {street.site.port} }}\n"
    assert plain in text
    street.gateway_file.write_text(text.replace(plain, own))
    done = gampong("edge", "check", str(street.gateway_file))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"{street.folder}/nothing.key" in done.stderr
    assert "broker.tls" in done.stderr


def gampong(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)
