"""Names that a broker's certificate is good for."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509


def subject_alternatives(hosts: str) -> list[x509.GeneralName]:
    """`"mqtt.example.org, 10.0.0.1"` as subject alternative names (RFC 5280, 4.2.1.6)."""
    return [_general(host) for part in hosts.split(",") if (host := part.strip())]


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
