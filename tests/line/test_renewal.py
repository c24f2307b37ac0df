"""A gateway gets its next certificate over the link it has, on a real mosquitto over TLS: whatever
is cut off in between, and whatever is refused, it has one that is let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from edge.configuration import (
    CloudBroker,
    EdgeConfiguration,
    Gateway,
    OutboxSettings,
    TimeSettings,
)
from edge.identity import CANDIDATE, PENDING, RENEWED, REPLACES, Identity, fingerprint, showing
from edge.renewal import NotRenewed, Pace, Renewal
from gampong.authority_files import broker_as, load, tell
from ingest.broker import open_door
from ingest.trust.access import Role, commands_to_add
from ingest.trust.authority import Authority
from ingest.trust.issued import read_issued
from ingest.trust.renewals import Renewals
from ingest.trust.signer import Signer
from tests.edge.uplink.far_side import until
from tests.edge.uplink.gateway import drained, running
from tests.line import street as streets
from tests.line.certificates import Authority as Other
from tests.line.certificates import Signed
from tests.line.listening import until as until_true
from tests.line.trusted import PASSPHRASE, A, City, done, link_of, may_send, trusted_city
from tests.processes import Gampong
from tests.secret_file import write_secret
from wire import mqtt
from wire.clock import SystemClock
from wire.configuration import Tls

PACE = Pace(answer_s=10.0)
DAYS = 400
AGE = timedelta(days=300)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with trusted_city(tmp_path_factory.mktemp("renewal")) as city:
        yield city


def authority(city: City) -> Authority:
    return Authority.open(city.folder / "authority", PASSPHRASE.encode())


def enrolled(city: City, name: str, age: timedelta = AGE) -> EdgeConfiguration:
    """A gateway that has had its certificate for so long, with its access."""
    folder = city.folder / name
    folder.mkdir(exist_ok=True)
    then = datetime.now(UTC) - age
    certificate, key = authority(city).issue(name, Role.GATEWAY, then, DAYS, "pasar")
    (folder / "gateway.pem").write_bytes(certificate)
    write_secret(folder / "gateway.key", key)
    (folder / "ca.pem").write_bytes((city.folder / "authority" / "ca.pem").read_bytes())
    assert tell(load(city.settings), commands_to_add(name, Role.GATEWAY)) == 0
    return of_folder(city, name, folder)


def of_folder(city: City, name: str, folder: Path) -> EdgeConfiguration:
    tls = Tls(
        ca_file=f"{folder}/ca.pem",
        certificate_file=f"{folder}/gateway.pem",
        key_file=f"{folder}/gateway.key",
    )
    return EdgeConfiguration(
        gateway=Gateway(name=name, site="pasar"),
        broker=CloudBroker(host="127.0.0.1", port=city.broker.port, tls=tls),
        outbox=OutboxSettings(path=f"{folder}/outbox.db", ballast_bytes=0),
        time=TimeSettings(trust="system"),
    )


@asynccontextmanager
async def signing(city: City) -> AsyncIterator[None]:
    """While the service runs that answers."""
    door = open_door(broker_as(load(city.settings), "signer"), str(city.settings))
    renewals, today = Renewals(authority(city), DAYS), lambda: datetime.now(UTC)
    signer = Signer(renewals, SystemClock(), today, pause_s=0.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(signer.run(door, "signer"))
        watcher = await link_of(city, A)  # until somebody listens
        asking = f"gampong/v1/{A}/certificate/request"
        async with asyncio.timeout(10):
            while await watcher.published(lambda mid: mqtt.publish(mid, asking, b"?")) != 0:
                pass
        await watcher.close()
        yield
        task.cancel()


async def look(configuration: EdgeConfiguration, identity: Identity | None = None) -> bool:
    renewal = Renewal(configuration, identity or Identity(configuration), PACE)
    return await renewal.look(int(datetime.now(UTC).timestamp() * 1000))


def shown(configuration: EdgeConfiguration) -> x509.Certificate:
    """What it would show on its next connection, after a restart."""
    tls = Identity(configuration).broker().tls
    assert tls is not None
    return x509.load_pem_x509_certificates(Path(tls.certificate_file).read_bytes())[0]


def days_left(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days


def signed_for(city: City, name: str) -> int:
    return sum(one.name == name for one in read_issued(city.folder / "authority"))


def test_a_gateway_gets_its_next_certificate_before_the_present_one_ends(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "renews-01")
        identity = Identity(configuration)
        assert days_left(shown(configuration)) == DAYS - AGE.days - 1
        async with signing(city):
            assert not await look(configuration, identity)
            assert identity.changed.is_set()
            assert days_left(shown(configuration)) == DAYS - 1
            assert not await look(configuration)  # the new one isn't due
        folder = identity.folder
        assert sorted(file.name for file in folder.iterdir()) == [RENEWED]
        assert (folder / RENEWED).stat().st_mode & 0o077 == 0
        assert signed_for(city, "renews-01") == 2

    asyncio.run(main())


def test_a_certificate_with_more_than_a_third_of_its_life_left_is_left_alone(city: City) -> None:
    configuration = enrolled(city, "young-01", timedelta(days=200))
    assert not asyncio.run(look(configuration))
    assert signed_for(city, "young-01") == 1


def test_a_power_cut_while_nobody_answers_asks_for_the_same_key_afterwards(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "cut-01")
        pending = Identity(configuration).folder / PENDING
        with pytest.raises(NotRenewed, match="nobody renews"):
            await look(configuration)
        key = pending.read_bytes()
        assert days_left(shown(configuration)) < 100
        async with signing(city):
            await look(configuration)
        assert key in (Identity(configuration).folder / RENEWED).read_bytes()
        assert not pending.exists()

    asyncio.run(main())


def test_an_answer_that_was_lost_is_given_again_and_nothing_is_signed_twice(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "lost-01")
        identity = Identity(configuration)
        async with signing(city):
            await look(configuration)
            # As after a cut between the answer and the card: the key is there, the answer isn't.
            kept = (identity.folder / RENEWED).read_bytes()
            (identity.folder / PENDING).write_bytes(
                kept[kept.index(b"-----BEGIN") : kept.index(b"-----BEGIN CERT")]
            )
            (identity.folder / RENEWED).unlink()
            await look(configuration)
        assert days_left(shown(configuration)) == DAYS - 1
        assert signed_for(city, "lost-01") == 2

    asyncio.run(main())


def test_a_power_cut_before_the_new_one_is_taken_up_only_delays_it(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "late-01")
        identity = Identity(configuration)
        async with signing(city):
            await look(configuration)
        # As after a cut between the candidate and its first connection.
        (identity.folder / RENEWED).rename(identity.folder / CANDIDATE)
        assert days_left(shown(configuration)) < 100
        assert not await look(configuration)  # without a signer: it has all it needs
        assert days_left(shown(configuration)) == DAYS - 1

    asyncio.run(main())


def test_a_new_certificate_that_the_broker_refuses_is_put_away_and_the_old_one_goes_on(
    city: City, tmp_path: Path
) -> None:
    configuration = enrolled(city, "foreign-01")
    identity = Identity(configuration)
    identity.folder.mkdir()
    forged(configuration, Other(tmp_path / "other").sign("foreign-01"), CANDIDATE)
    with pytest.raises(NotRenewed, match="isn't let in"):
        asyncio.run(look(configuration))
    assert list(identity.folder.iterdir()) == []
    assert days_left(shown(configuration)) < 100


def forged(configuration: EdgeConfiguration, signed: Signed, name: str) -> None:
    """That key and certificate as one that was renewed in place of the enrolled one."""
    assert configuration.broker.tls is not None
    head = f"{REPLACES}{fingerprint(configuration.broker.tls.certificate_file)}\n".encode()
    both = signed.key_file.read_bytes() + signed.certificate_file.read_bytes()
    write_secret(Identity(configuration).folder / name, head + both)


def test_a_renewed_certificate_that_is_refused_later_makes_way_for_the_enrolled_one(
    city: City, tmp_path: Path
) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "back-01")
        Identity(configuration).folder.mkdir()
        forged(configuration, Other(tmp_path / "other").sign("back-01"), RENEWED)
        async with running(configuration) as gateway, drained(gateway):
            await until(lambda: gateway.uplink.connected)

    asyncio.run(main())


def test_a_renewed_certificate_that_is_damaged_on_the_card_makes_way_for_the_enrolled_one(
    city: City,
) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "damaged-01")
        Identity(configuration).folder.mkdir()
        forged(configuration, files_of(configuration), RENEWED)
        renewed = Identity(configuration).folder / RENEWED
        whole = renewed.read_bytes()
        renewed.write_bytes(whole[:256] + bytes(len(whole) - 256))  # its head is as it was
        async with running(configuration) as gateway, drained(gateway):
            await until(lambda: gateway.uplink.connected)

    asyncio.run(main())


def test_a_gateway_that_is_enrolled_anew_shows_that_and_not_what_was_renewed_before(
    city: City,
) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "anew-01")
        async with signing(city):
            await look(configuration)
        await asyncio.to_thread(enrolled, city, "anew-01", timedelta(days=1))
        assert days_left(shown(configuration)) == DAYS - 2

    asyncio.run(main())


def test_the_certificate_of_another_gateway_is_named_and_nothing_is_asked_for(city: City) -> None:
    configuration = enrolled(city, "mixed-01")
    other = msgspec.structs.replace(configuration, gateway=Gateway(name="mixed-02", site="pasar"))
    with pytest.raises(NotRenewed, match="'mixed-01''s, not 'mixed-02''s"):
        asyncio.run(look(other))


def test_a_broker_whose_rights_are_of_an_earlier_version_is_named_with_the_remedy(
    city: City,
) -> None:
    configuration = enrolled(city, "early-01")
    role = {"rolename": "gateway-early-01", "topic": "gampong/v1/early-01/certificate"}
    removal = [{"command": "removeRoleACL", "acltype": "subscribePattern", **role}]
    assert tell(load(city.settings), removal) == 0
    with pytest.raises(NotRenewed, match="gampong gateway access"):
        asyncio.run(look(configuration))


def test_a_revoked_gateway_gets_no_new_certificate(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "revoked-01")
        authority(city).revoke("revoked-01", datetime.now(UTC))  # the broker wasn't told yet
        async with signing(city):
            with pytest.raises(NotRenewed, match="refused: revoked"):
                await look(configuration)
        assert signed_for(city, "revoked-01") == 1

    asyncio.run(main())


def test_an_agent_renews_while_readings_flow_and_goes_on_when_the_old_one_is_revoked(
    city: City, tmp_path: Path
) -> None:
    """The whole way: the agent's process, the service, and the operator's commands."""
    name = streets.GATEWAY  # it is A: enrolled a moment ago, so an older one takes its place
    configuration = enrolled(city, name)
    ours = files_of(configuration)
    own = city.folder / "authority"
    ingestor = Signed(own / "ca.pem", own / "ingestor.pem", own / "ingestor.key")
    with ExitStack() as stack:
        service = Gampong("renew", tmp_path, "gateway", "renew", str(city.settings))
        stack.enter_context(service)
        service.said("event=listening")
        street = streets.Street(tmp_path, stack, cloud=city.broker, ingest_tls=ingestor.toml)
        street.start_ingestor()
        street.configure_gateway(ours.toml)
        street.start_agent()
        street.agent.said("event=certificate_renewed")
        street.agent.said("connecting again with it")
        first = sum(map(len, street.points().values()))
        listed = done("gateway", "list", city.settings, "--json")
        (entry,) = [one for one in msgspec.json.decode(listed) if one["name"] == name]
        assert (entry["state"], entry["online"], entry["left_days"]) == ("good", True, DAYS - 1)
        assert entry["version"]
        revoked = done("gateway", "revoke", city.settings, name, "--but-newest")
        assert "3 certificates revoked" in revoked  # two of the fixture's, and the old one
        until_true(lambda: sum(map(len, street.points().values())) > first + 10, "readings go on")
        ledger = street.stop_agent()
        streets.assert_all_stored(ledger, street.points())
        assert service.stop() == 0


def files_of(configuration: EdgeConfiguration) -> Signed:
    tls = configuration.broker.tls
    assert tls is not None
    return Signed(Path(tls.ca_file), Path(tls.certificate_file), Path(tls.key_file))


def test_the_renewed_certificate_is_of_the_gateway_and_speaks_only_for_it(city: City) -> None:
    async def main() -> None:
        configuration = await asyncio.to_thread(enrolled, city, "speaks-01")
        async with signing(city):
            await look(configuration)
        renewed = Identity(configuration).folder / RENEWED
        own = city.folder / "authority"
        for kind in ("pem", "key"):
            (own / f"speaks-01.{kind}").write_bytes(renewed.read_bytes())
        link = await link_of(city, "speaks-01")
        assert await may_send(link, "gampong/v1/speaks-01/batch")
        assert not await may_send(link, f"gampong/v1/{A}/batch")
        await link.close()
        assert showing(configuration.broker, renewed).tls is not None

    asyncio.run(main())
