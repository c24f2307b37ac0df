"""Public WiFi as a visitor feels it."""

from __future__ import annotations

from ingest.rules.rule import NO, YES, Rule, Severity, Text, both, is_one_of, number

RULES = (
    Rule(
        id="ap_down",
        kind="wifi_access_point",
        source="wifi_access_point",
        fields=("up",),
        measure=is_one_of("up", 0),
        fires=YES,
        clears=NO,
        for_s=120,
        severity=Severity.CRITICAL,
        title=Text(id="Titik WiFi mati", en="Access point down"),
        summary=Text(
            id="Titik akses tidak menjawab gateway.", en="The access point doesn't answer."
        ),
        advice=Text(
            id="Periksa listrik dan kabel titik akses.", en="Check its power and its cable."
        ),
    ),
    Rule(
        id="portal_down",
        kind="wifi_access_point",
        source="wifi_access_point",
        fields=("up", "portal"),
        measure=both(is_one_of("up", 1), is_one_of("portal", "down")),
        fires=YES,
        clears=NO,
        for_s=180,
        severity=Severity.WARNING,
        title=Text(id="Portal WiFi mati", en="WiFi portal down"),
        summary=Text(
            id="Titik akses menyala, tetapi halaman masuknya tidak bisa dibuka.",
            en="The access point is up, but a visitor can't get past its sign-in page.",
        ),
        advice=Text(
            id="Periksa server portal dan jalur internet lokasi.",
            en="Check the portal's server and the site's line.",
        ),
    ),
    Rule(
        id="internet_slow",
        kind="wifi_access_point",
        source="wifi_access_point",
        fields=("latency_ms",),
        measure=number("latency_ms"),
        unit="ms",
        fires=300.0,
        clears=150.0,
        for_s=600,
        severity=Severity.INFO,
        title=Text(id="Internet lambat", en="Internet slow"),
        summary=Text(
            id="Waktu tempuh ke internet di atas 300 ms selama sepuluh menit.",
            en="A round trip to the internet has taken over 300 ms for ten minutes.",
        ),
        advice=Text(
            id="Lihat pemakaian kanal dan jalur; hubungi penyedia bila jalurnya longgar.",
            en="See how busy channel and line are; call the provider if the line isn't.",
        ),
    ),
    Rule(
        id="nobody_online",
        kind="wifi_access_point",
        source="wifi_access_point",
        fields=("clients",),
        measure=number("clients"),
        fires=YES,
        clears=NO,
        above=False,
        for_s=2 * 3600,
        opening_hours=True,
        severity=Severity.INFO,
        title=Text(id="Tidak ada yang memakai WiFi", en="Nobody online"),
        summary=Text(
            id="Dua jam tanpa satu pun pengguna pada jam buka.",
            en="Two opening hours without a single visitor online.",
        ),
        advice=Text(
            id="Coba sendiri dengan ponsel: sinyal bisa ada tanpa layanan.",
            en="Try it with a phone: there can be signal without service.",
        ),
    ),
)
