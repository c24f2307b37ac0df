"""Certificates and revocation lists of authorities that aren't ours."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ingest.trust import revocations
from ingest.trust.access import Role
from ingest.trust.authority import Authority
from ingest.trust.issued import TrustError, read_issued
from ingest.trust.others import note_revoked, read_others, register
from ingest.trust.renewals import Renewals
from ingest.trust.revocations import joined, refresh
from tests.ingest.trust.test_renewals import asking
from tests.line.national import NOW, Nation, Signing, named, pem, write_key
from wire.certificates import Refusal

NAME = "mahirah-01"
SECRET = b"not a short one"


@pytest.fixture(scope="module")
def nation() -> Nation:
    return Nation()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Authority.create(tmp_path / "authority", "banda-aceh", SECRET, NOW).folder


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_gateway_of_the_nations_authority_is_known_by_its_name_and_dates(
    folder: Path, nation: Nation, tmp_path: Path, kind: str
) -> None:
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else rsa.generate_private_key(65537, 2048)
    )
    leaf = nation.between.sign(named(NAME), key)
    (tmp_path / "others.pem").write_bytes(nation.pem)
    others = read_others(str(tmp_path / "others.pem"))
    entry = register(folder, pem(leaf), NAME, "pasar", others, NOW)
    assert register(folder, pem(leaf), NAME, "pasar", others, NOW) == entry
    assert read_issued(folder) == [entry]
    assert (entry.name, entry.role, entry.site) == (NAME, Role.GATEWAY, "pasar")
    assert entry.issuer == "CN=Penerbit,O=Republik Contoh"
    assert entry.until_ms == int(leaf.not_valid_after_utc.timestamp() * 1000)


def test_a_chain_may_come_with_the_certificate_and_only_its_root_has_to_be_known(
    folder: Path, nation: Nation
) -> None:
    leaf = nation.between.sign(named(NAME), ec.generate_private_key(ec.SECP256R1()))
    text = pem(leaf) + pem(nation.between.certificate)
    entry = register(folder, text, NAME, "pasar", [nation.root.certificate], NOW)
    assert read_issued(folder) == [entry]


def test_a_certificate_that_is_not_good_for_that_gateway_is_refused_with_the_remedy(
    folder: Path, nation: Nation
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    others = [nation.between.certificate, nation.root.certificate]
    weak = rsa.generate_private_key(65537, 1024)
    impostor = Signing("Penerbit", ec.generate_private_key(ec.SECP256R1()))
    server = ExtendedKeyUsageOID.SERVER_AUTH
    for leaf, why in (
        (nation.between.sign(named("ulee-lheue-02"), key), "Ask the authority for one whose"),
        (nation.between.sign(named(NAME), key, days=-1), "not today"),
        (nation.between.sign(named(NAME), key, begun=timedelta(days=-1)), "not today"),
        (nation.between.sign(named(NAME), weak), "neither EC nor RSA"),
        (nation.between.sign(named(NAME), key, purpose=server), "TLS client"),
        (impostor.sign(named(NAME), key), "others_file"),
    ):
        with pytest.raises(TrustError, match=why):
            register(folder, pem(leaf), NAME, "pasar", others, NOW)
    with pytest.raises(TrustError, match="no certificate"):
        register(folder, b"nothing", NAME, "pasar", others, NOW)
    assert read_issued(folder) == []


def test_a_name_of_the_cloud_side_is_not_given_to_a_gateway_of_another_authority(
    folder: Path, nation: Nation
) -> None:
    Authority.open(folder, SECRET).issue("ingestor", Role.INGESTOR, NOW, 10)
    leaf = nation.between.sign(named("ingestor"), ec.generate_private_key(ec.SECP256R1()))
    others = [nation.between.certificate, nation.root.certificate]
    with pytest.raises(TrustError, match="another role"):
        register(folder, pem(leaf), "ingestor", "pasar", others, NOW)


def test_a_renewal_waits_for_the_other_authority_and_is_handed_out_once_it_has_signed(
    folder: Path, nation: Nation
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    old = nation.between.sign(named(NAME), ec.generate_private_key(ec.SECP256R1()), days=30)
    register(folder, pem(old), NAME, "pasar", others, NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    renewals, question = Renewals(Authority.open(folder, SECRET), 400), asking(key=key)
    assert renewals.answer(NAME, question, NOW).refused == Refusal.WAITING
    request = x509.load_pem_x509_csr((folder / "requests" / f"{NAME}.csr").read_bytes())
    assert request.public_key() == key.public_key()
    new = nation.between.sign(request.subject, key)
    register(folder, pem(nation.between.sign(named(NAME), key)), NAME, "pasar", others, NOW)
    answer = renewals.answer(NAME, question, NOW)
    leaf, above = map(x509.load_der_x509_certificate, answer.certificates)
    assert leaf.public_key() == new.public_key()
    assert above == nation.between.certificate


def test_an_authority_that_the_nation_gave_its_certificate_signs_with_its_chain(
    tmp_path: Path, nation: Nation
) -> None:
    ours = Signing("Kota", rsa.generate_private_key(65537, 2048), nation.between)
    folder = tmp_path / "given"
    folder.mkdir()
    write_key(folder / "ca.key", ours.key, SECRET)
    (folder / "ca.pem").write_bytes(pem(ours.certificate) + nation.pem)
    authority = Authority.open(folder, SECRET)
    text, _ = authority.issue(NAME, Role.GATEWAY, NOW, 400)
    leaf = x509.load_pem_x509_certificate(text)
    leaf.verify_directly_issued_by(ours.certificate)
    assert authority.between == (ours.certificate, nation.between.certificate)
    assert leaf.not_valid_after_utc <= ours.certificate.not_valid_after_utc
    write_key(folder / "ca.key", rsa.generate_private_key(65537, 2048), SECRET)
    with pytest.raises(TrustError, match="isn't the key"):
        Authority.open(folder, SECRET)


def test_lists_are_read_from_files_and_joined_behind_ours(
    folder: Path, nation: Nation, tmp_path: Path
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    leaf = nation.between.sign(named(NAME), ec.generate_private_key(ec.SECP256R1()))
    entry = register(folder, pem(leaf), NAME, "pasar", others, NOW)
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    done = refresh(folder, [str(source)], others, read_issued(folder), NOW)
    assert (done.changed, done.problems, done.revoked) == (2, [], [])
    der = nation.between.revocations([leaf]).public_bytes(serialization.Encoding.DER)
    later = nation.between.revocations([leaf], made=-timedelta(minutes=1))
    source.write_bytes(later.public_bytes(serialization.Encoding.DER))
    assert der != source.read_bytes()
    done = refresh(folder, [str(source)], others, read_issued(folder), NOW)
    assert (done.changed, done.revoked) == (1, [entry])
    note_revoked(folder, done.revoked, NOW)
    (one,) = read_issued(folder)
    assert one.revoked_ms
    assert joined(folder).count(b"BEGIN X509 CRL") == 3


def test_an_older_list_never_takes_the_place_of_a_newer_one(
    folder: Path, nation: Nation, tmp_path: Path
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    assert refresh(folder, [str(source)], others, [], NOW).changed == 2
    source.write_bytes(nation.lists(ago=timedelta(days=1)))
    assert refresh(folder, [str(source)], others, [], NOW).changed == 0


def test_a_list_that_can_not_be_had_or_believed_is_said_and_the_one_before_stays(
    folder: Path, nation: Nation, tmp_path: Path
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    leaf = nation.between.sign(named(NAME), ec.generate_private_key(ec.SECP256R1()))
    register(folder, pem(leaf), NAME, "pasar", others, NOW)
    assert "no list of CN=Penerbit" in refresh(folder, [], others, read_issued(folder), NOW)[1][0]
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    refresh(folder, [str(source)], others, [], NOW)
    before = joined(folder)
    source.write_bytes(Nation().lists())
    (tmp_path / "page.html").write_text("<html>please log in</html>")
    sources = [str(source), str(tmp_path / "missing"), str(tmp_path / "page.html")]
    done = refresh(folder, sources, others, [], NOW)
    assert done.changed == 0
    assert ["not signed by" in done.problems[0], "No such file" in done.problems[1]] == [True] * 2
    assert "not a revocation list" in done.problems[2]
    assert joined(folder) == before


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-dropbear\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na"],
)
def test_a_server_of_lists_that_does_not_speak_http_costs_its_own_list_alone(
    folder: Path, nation: Nation, tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "FETCH_S", 1.0)  # hung up on, it asks a second time
    others = [nation.between.certificate, nation.root.certificate]
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    with socket.create_server(("127.0.0.1", 0)) as door:
        answering = threading.Thread(target=_answer_once, args=(door, said))
        answering.start()
        address = f"http://127.0.0.1:{door.getsockname()[1]}/lists.pem"
        done = refresh(folder, [address, str(source)], others, [], NOW)
        answering.join()
    assert done.changed == 2
    assert [problem.partition(": ")[0] for problem in done.problems] == [address]


def test_a_kept_list_that_is_damaged_is_said_and_replaced_by_the_next_one(
    folder: Path, nation: Nation, tmp_path: Path
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    refresh(folder, [str(source)], others, [], NOW)
    whole = joined(folder)
    damaged = sorted((folder / "crls").iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert joined(folder).count(b"BEGIN X509 CRL") == 2  # what the broker can read
    (problem,) = refresh(folder, [], others, [], NOW).problems
    assert problem.startswith(f"{damaged}: damaged")
    assert refresh(folder, [str(source)], others, [], NOW).changed == 1
    assert joined(folder) == whole


def _answer_once(door: socket.socket, said: bytes) -> None:
    connection, _ = door.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(said)


def test_a_list_that_is_over_is_said_before_the_broker_refuses_everybody(
    folder: Path, nation: Nation, tmp_path: Path
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    source = tmp_path / "lists.pem"
    source.write_bytes(nation.lists())
    refresh(folder, [str(source)], others, [], NOW)
    soon = refresh(folder, [], others, [], NOW + timedelta(days=6, hours=12))
    assert all("ends soon" in problem for problem in soon.problems)
    over = refresh(folder, [], others, [], NOW + timedelta(days=8))
    assert len(over.problems) == 2
    assert all("is over" in problem for problem in over.problems)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of files."""
    (tmp_path / "web").mkdir()
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_list_is_fetched_from_its_address(
    folder: Path, nation: Nation, tmp_path: Path, web: str
) -> None:
    others = [nation.between.certificate, nation.root.certificate]
    (tmp_path / "web" / "lists.crl").write_bytes(nation.lists())
    assert refresh(folder, [f"{web}/lists.crl"], others, [], NOW).changed == 2
    missing = refresh(folder, [f"{web}/gone.crl"], others, [], NOW)
    assert missing.problems == [f"{web}/gone.crl: File not found"]


def test_a_server_that_drips_a_list_is_given_up_and_one_cut_short_is_no_list(
    folder: Path, nation: Nation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "FETCH_S", 0.3)
    others = [nation.between.certificate, nation.root.certificate]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    whole = nation.lists()
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}/lists.pem"
        ended = threading.Event()

        def drip() -> None:
            connection, _ = door.accept()
            with connection, suppress(OSError):
                connection.sendall(head % 100_000)
                while not ended.wait(0.02):
                    connection.sendall(b"-")

        dripping = threading.Thread(target=drip)
        dripping.start()
        (problem,) = refresh(folder, [address], others, [], NOW).problems
        ended.set()
        dripping.join()
        assert problem == f"{address}: not whole within 0.3 s"

        short = threading.Thread(target=_answer_once, args=(door, head % len(whole) + whole[:-9]))
        short.start()
        done = refresh(folder, [address], others, [], NOW)
        short.join()
        assert (done.changed, len(done.problems)) == (0, 1)
