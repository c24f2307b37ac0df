"""Secrets are replaced while readings flow: nothing stops, nothing is lost, and the old ones are
good for nothing afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.trust.authority import Authority
from ingest.trust.issued import TrustError
from tests.line.certificates import Signed
from tests.line.listening import until
from tests.line.street import BROKER_CONFIG, Street, assert_all_stored
from tests.line.trusted import (
    ANSWER_S,
    PASSPHRASE,
    A,
    City,
    done,
    gampong,
    link_of,
    trusted_city,
)
from tests.processes import Gampong
from tests.servers import Mosquitto, find
from wire.mqtt_link import Lost


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with trusted_city(tmp_path_factory.mktemp("rotation")) as city:
        yield city


def count(street: Street) -> int:
    return sum(map(len, street.points().values()))


def more_come(street: Street) -> None:
    before = count(street)
    until(lambda: count(street) > before + 10, "readings go on")


def test_the_certificate_of_the_ingestor_is_replaced_while_readings_flow(
    city: City, tmp_path: Path
) -> None:
    own, used = city.folder / "authority", tmp_path / "used"
    used.mkdir()
    for name in ("ca.pem", "ingestor.pem", "ingestor.key"):
        shutil.copy(own / name, used / name)
    old = tmp_path / "old"
    shutil.copytree(used, old)
    papers = Signed(used / "ca.pem", used / "ingestor.pem", used / "ingestor.key")
    gateway = Signed(own / "ca.pem", own / f"{A}.pem", own / f"{A}.key")
    with ExitStack() as stack:
        street = Street(tmp_path, stack, cloud=city.broker, ingest_tls=papers.toml)
        street.start_ingestor()
        street.configure_gateway(gateway.toml)
        street.start_agent()
        more_come(street)
        assert "--but-newest" in done("gateway", "rotate", city.settings, "ingestor")
        for name in ("ingestor.key", "ingestor.pem"):
            shutil.copy(own / name, used / name)
        said = done("gateway", "revoke", city.settings, "ingestor", "--but-newest")
        assert "1 certificates revoked" in said
        city.broker.reload()
        more_come(street)
        assert_all_stored(street.stop_agent(), street.points())
        assert street.ingestor.exit_code is None
        assert "event=broker_lost" in street.ingestor.tail()  # it was made to connect anew
    for name in ("ingestor.pem", "ingestor.key"):
        shutil.copy(old / name, own / f"old-{name}")

    async def shut_out() -> None:
        async with asyncio.timeout(ANSWER_S):
            while True:
                try:
                    await (await link_of(city, "old-ingestor")).close()
                except (Lost, OSError):
                    return

    asyncio.run(shut_out())


def test_the_brokers_own_certificate_is_replaced_while_connections_stand(city: City) -> None:
    async def main() -> None:
        link = await link_of(city, A)
        before = (city.folder / "served" / "broker.pem").read_bytes()
        await asyncio.to_thread(done, "gateway", "rotate", city.settings, "broker")
        assert (city.folder / "served" / "broker.pem").read_bytes() != before
        city.broker.reload()
        for other in [await link_of(city, "viewer"), link]:  # an old connection, and a new one
            assert not other.is_lost
            await other.close()

    asyncio.run(main())


def test_the_password_of_the_broker_is_replaced_while_readings_flow(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    theirs = tmp_path / "cloud.password"

    def now(password: str) -> None:
        """At the broker, and in the file that both sides read."""
        passwords.write_text(f"city:{password}\n")
        tool = find("mosquitto_passwd", "apt-get install mosquitto")
        subprocess.run([tool, "-U", str(passwords)], check=True, timeout=30)
        passwords.chmod(0o600)
        theirs.write_text(f"{password}\n")
        theirs.chmod(0o600)

    now("first-of-all")
    config = f"{BROKER_CONFIG}\nallow_anonymous false\npassword_file {passwords}"
    login = f'username = "city"\npassword_file = "{theirs}"'
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "cloud", 0, config))
        street = Street(tmp_path, stack, cloud=broker, ingest_tls=login)
        street.start_ingestor()
        street.configure_gateway(login)
        street.start_agent()
        more_come(street)
        now("second-to-none")
        broker.restart()  # all connect anew, with what the file says now
        more_come(street)
        assert_all_stored(street.stop_agent(), street.points())
        assert street.ingestor.exit_code is None
        for process in (street.agent, street.ingestor):
            said = process.log.read_text()
            assert "first-of-all" not in said
            assert "second-to-none" not in said


def test_the_authoritys_passphrase_is_replaced_while_the_service_runs(
    city: City, tmp_path: Path
) -> None:
    folder, file = city.folder / "authority", city.folder / "passphrase"
    fresh = tmp_path / "fresh"

    def write(secret: str, mode: int = 0o600) -> None:
        fresh.write_text(secret)
        fresh.chmod(mode)

    with Gampong("renew", tmp_path, "gateway", "renew", str(city.settings)) as service:
        service.said("event=listening")
        write("another battery staple", 0o644)
        refused = gampong("gateway", "passphrase", city.settings, fresh)
        assert refused.returncode == 2
        assert "chmod 640" in refused.stderr
        assert "battery staple" not in refused.stderr
        write("short")
        assert "shorter than 8" in gampong("gateway", "passphrase", city.settings, fresh).stderr
        write("another battery staple")
        done("gateway", "passphrase", city.settings, fresh)
        assert (file.read_text(), fresh.exists()) == ("another battery staple", False)
        with pytest.raises(TrustError):
            Authority.open(folder, PASSPHRASE.encode())
        done("gateway", "rotate", city.settings, "viewer")
        assert service.runs_for(0.0)
        assert service.stop() == 0
        # Cut off after the key was locked, before the file was: the same command finishes it.
        Authority.open(folder, b"another battery staple").lock(PASSPHRASE.encode())
        write(PASSPHRASE)
        done("gateway", "passphrase", city.settings, fresh)
        done("gateway", "rotate", city.settings, "viewer")
