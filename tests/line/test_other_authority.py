"""A city whose certificates come from the nation's authority, on a real mosquitto over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.line.national import Nation, Signing, pem, write_key
from tests.line.trusted import (
    ANSWER_S,
    PASSPHRASE,
    PLUGINS,
    A,
    City,
    done,
    gampong,
    link_of,
    may_send,
    trusted_city,
)
from tests.servers import Mosquitto, free_port
from wire.mqtt_link import Lost

NAME = "blang-padang-03"
CUT_OFF_S = 60.0


@pytest.fixture(scope="module")
def nation() -> Nation:
    return Nation()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, nation: Nation) -> Iterator[City]:
    """Its own authority for the cloud side, the nation's for some gateways."""
    folder = tmp_path_factory.mktemp("nation")
    (folder / "others.pem").write_bytes(nation.pem)
    (folder / "lists.pem").write_bytes(nation.lists(ago=timedelta(hours=1)))
    more = f'others_file = "{folder}/others.pem"\nothers_crls = ["{folder}/lists.pem"]\n'
    with trusted_city(folder, more) as city:
        done("gateway", "crl", city.settings)
        city.broker.reload()
        yield city


def issued(city: City, nation: Nation, name: str) -> x509.Certificate:
    """The nation signs; the gateway has its files."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    leaf = nation.between.sign(subject, key)
    shown = pem(leaf) + pem(nation.between.certificate)
    (city.folder / "authority" / f"{name}.pem").write_bytes(shown)
    write_key(city.folder / "authority" / f"{name}.key", key)
    return leaf


def test_a_gateway_of_the_nations_authority_comes_in_until_that_authority_takes_it_back(
    city: City, nation: Nation
) -> None:
    leaf = issued(city, nation, NAME)

    async def main() -> None:
        early = await link_of(city, NAME)  # the broker believes the chain, and gives no right
        assert not await may_send(early, f"gampong/v1/{NAME}/batch")
        await early.close()
        file = city.folder / "authority" / f"{NAME}.pem"
        words = ("gateway", "add", city.settings, NAME, "--site", "pasar", "--certificate", file)
        said = await asyncio.to_thread(done, *words)
        assert "of CN=Penerbit" in said
        link, ours = await link_of(city, NAME), await link_of(city, A)
        assert await may_send(link, f"gampong/v1/{NAME}/batch")
        assert not await may_send(link, f"gampong/v1/{A}/batch")
        (city.folder / "lists.pem").write_bytes(nation.lists([leaf]))
        said = await asyncio.to_thread(done, "gateway", "crl", city.settings)
        assert f"1 gateways cut off {NAME}" in said
        with pytest.raises(Lost):
            async with asyncio.timeout(CUT_OFF_S):
                await link.messages()
        city.broker.reload()
        async with asyncio.timeout(ANSWER_S):
            while True:
                try:
                    await (await link_of(city, NAME)).close()
                except (Lost, OSError):
                    break
        assert await may_send(ours, f"gampong/v1/{A}/batch")
        await ours.close()

    asyncio.run(main())
    listed = done("gateway", "list", city.settings, "--offline")
    assert "revoked" in next(line for line in listed.splitlines() if line.startswith(NAME))


def test_a_list_that_can_not_be_had_is_said_and_the_command_may_be_given_again(
    city: City, tmp_path: Path
) -> None:
    away = tmp_path / "authority.toml"
    away.write_text(city.settings.read_text().replace("lists.pem", "missing.pem"))
    run = gampong("gateway", "crl", away)
    assert run.returncode == 1
    assert "missing.pem" in run.stderr


def test_a_certificate_of_an_authority_that_the_city_does_not_name_gets_no_access(
    city: City, tmp_path: Path
) -> None:
    stranger = Signing("Lain", ec.generate_private_key(ec.SECP256R1()))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lain-01")])
    (tmp_path / "lain.pem").write_bytes(pem(stranger.sign(subject, key)))
    words = ("gateway", "add", city.settings, "lain-01", "--site", "pasar")
    run = gampong(*words, "--certificate", tmp_path / "lain.pem")
    assert run.returncode == 2
    assert "others_file" in run.stderr


def test_a_city_whose_authority_is_the_nations_child_serves_its_whole_chain(
    nation: Nation, tmp_path: Path
) -> None:
    """`ca.key` and `ca.pem` are put there; the same commands do the rest."""
    ours = Signing("Kota", rsa.generate_private_key(65537, 2048), nation.between)
    folder, port = tmp_path / "authority", free_port()
    folder.mkdir()
    write_key(folder / "ca.key", ours.key, PASSPHRASE.encode())
    (folder / "ca.pem").write_bytes(pem(ours.certificate) + nation.pem)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    (tmp_path / "passphrase").chmod(0o600)
    settings = tmp_path / "authority.toml"
    settings.write_text(
        f'[authority]\ncity = "kota"\nfolder = "{folder}"\n'
        f'passphrase_file = "{tmp_path}/passphrase"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        f'folder = "{tmp_path}/served"\nplugin = "{PLUGINS[0]}"\nreload = []\n'
    )
    done("gateway", "authority", settings)
    bundle = tmp_path / "a.bundle"
    words = ("gateway", "add", settings, A, "--site", "pasar", "--bundle", bundle)
    conf = (tmp_path / "served" / "mosquitto.conf").read_text()
    with Mosquitto(tmp_path / "broker", port, conf) as broker:
        done(*words)
        done("edge", "enrol", bundle, "--folder", tmp_path / A)
        for kind in ("pem", "key"):
            (folder / f"{A}.{kind}").symlink_to(tmp_path / A / f"gateway.{kind}")
        city = City(broker, tmp_path, settings)
        # A machine that knows the root alone: the chain comes with what each side shows.
        (folder / "ca.pem").write_bytes(pem(nation.root.certificate))

        async def main() -> None:
            link = await link_of(city, A)
            assert await may_send(link, f"gampong/v1/{A}/batch")
            await link.close()

        asyncio.run(main())
