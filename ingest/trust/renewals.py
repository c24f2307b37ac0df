"""A gateway asks for its next certificate: what it gets, or why not.

In: who asked (from the topic, which the broker ties to the certificate it showed), and its request.
Out: certificates, or a reason. Judged in this order:

    a request, signed by its own key, for the name of the topic             format, name
    the name has a certificate from here, not only revoked ones, and
    that key is none whose certificate was revoked                          unknown, revoked
    that key was signed already (an answer was lost, or it is the           the same again
    operator who had to ask another authority)
    an authority of another's: kept for the operator                        waiting
    no more than `DAY_MAX` new ones in a day                                rate

Promised: asking again for the same key signs nothing twice, across restarts of either side; a
revoked gateway gets nothing from the moment its revocation is on disk, so it is judged once more
while nobody else can write the list.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ingest.trust.access import Role
from ingest.trust.authority import Authority
from ingest.trust.issued import Issued, TrustError, WithheldError, kept_at, read_issued, write
from ingest.trust.papers import UNREADABLE, common_name, is_strong
from wire.certificates import (
    REQUEST_BYTES_MAX,
    CertificateAnswer,
    CertificateRequest,
    Refusal,
)
from wire.messages import BadMessage, decode_message

DAY_MAX = 4
"""New certificates a gateway and day: more isn't a renewal but a fault, or somebody who tries."""

_DAY_MS = 24 * 3600 * 1000


class Renewals:
    """Answers requests out of an authority's folder.

    Args:
        authority: signs for those whose certificate is from here.
        days: how long.
    """

    def __init__(self, authority: Authority, days: int) -> None:
        self._authority, self._days = authority, days
        self._folder = authority.folder

    def answer(self, gateway: str, payload: bytes, now: datetime) -> CertificateAnswer:
        """What to say; blocks for a disk's write when it signs."""
        try:
            request = _request(payload)
            named = common_name(request.subject)
        except (BadMessage, *UNREADABLE):
            return _no(Refusal.FORMAT)
        if named != gateway:
            return _no(Refusal.NAME)
        try:
            return self._judged(gateway, request, now)
        except (TrustError, OSError, *UNREADABLE):  # its fault stays its own
            return _no(Refusal.FAILING)

    def _judged(
        self, gateway: str, request: x509.CertificateSigningRequest, now: datetime
    ) -> CertificateAnswer:
        now_ms = int(now.timestamp() * 1000)
        listed = read_issued(self._folder)
        if settled := self._settled(gateway, request, listed, now_ms):
            return settled
        text = request.public_bytes(serialization.Encoding.PEM)
        site = [one for one in _own(gateway, listed) if one.is_good(now_ms)][-1].site

        def may(by_now: list[Issued]) -> bool:
            return self._settled(gateway, request, by_now, now_ms) is None

        try:
            _, signed = self._authority.sign(text, now, self._days, site, may)
        except WithheldError:
            listed = read_issued(self._folder)
            return self._settled(gateway, request, listed, now_ms) or _no(Refusal.FAILING)
        leaf = x509.load_pem_x509_certificate(signed)
        return CertificateAnswer(_der((leaf, *self._authority.between)))

    def _settled(
        self,
        gateway: str,
        request: x509.CertificateSigningRequest,
        listed: list[Issued],
        now_ms: int,
    ) -> CertificateAnswer | None:
        """The answer as far as nothing has to be signed for it; None: it may be signed."""
        own = _own(gateway, listed)
        good = [one for one in own if one.is_good(now_ms)]
        if not good:
            revoked = any(one.revoked_ms for one in own)
            return _no(Refusal.REVOKED if revoked else Refusal.UNKNOWN)
        if any(one.revoked_ms and self._signed_before(one, request) for one in own):
            return _no(Refusal.REVOKED)
        for one in reversed(good):
            if chain := self._signed_before(one, request):
                return CertificateAnswer(chain)
        if good[-1].issuer:
            text = request.public_bytes(serialization.Encoding.PEM)
            write(self._folder / "requests" / f"{gateway}.csr", text, 0o644)
            return _no(Refusal.WAITING)
        # Backdated by a day, so what is from the last day begins within the last two.
        if sum(one.from_ms > now_ms - 2 * _DAY_MS for one in own) >= DAY_MAX:
            return _no(Refusal.RATE)
        return None

    def _signed_before(
        self, one: Issued, request: x509.CertificateSigningRequest
    ) -> tuple[bytes, ...]:
        """That certificate and those above it, if it is of the same key."""
        path = kept_at(self._folder, one)
        if not path.exists():
            return ()
        chain = x509.load_pem_x509_certificates(path.read_bytes())
        if chain[0].public_key() != request.public_key():
            return ()
        return _der(chain) if one.issuer else _der((chain[0], *self._authority.between))


def _request(payload: bytes) -> x509.CertificateSigningRequest:
    """
    Raises:
        BadMessage, one of `UNREADABLE`: it isn't one that its own strong key has signed.
    """
    if len(payload) > 2 * REQUEST_BYTES_MAX:  # base64
        raise BadMessage("larger than a request may be")
    request = x509.load_der_x509_csr(decode_message(payload, CertificateRequest).request)
    if not is_strong(request.public_key()) or not request.is_signature_valid:
        raise BadMessage("not signed by its own key")
    return request


def _own(gateway: str, listed: list[Issued]) -> list[Issued]:
    return [one for one in listed if one.name == gateway and one.role is Role.GATEWAY]


def _der(chain: tuple[x509.Certificate, ...] | list[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in chain)


def _no(why: Refusal) -> CertificateAnswer:
    return CertificateAnswer(refused=str(why))
