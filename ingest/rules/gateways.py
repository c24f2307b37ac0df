"""Gateways and what hangs on them: heard, keeping up, believed."""

from __future__ import annotations

from devices.kinds import KINDS
from ingest.rules.rule import NO, YES, Rule, Severity, Subject, Text, is_one_of, number

RULES = (
    Rule(
        id="gateway_offline",
        kind="gateway",
        source="gateway_health",
        fields=("online",),
        measure=is_one_of("online", 0),
        fires=YES,
        clears=NO,
        severity=Severity.CRITICAL,
        subject=Subject.GATEWAY,
        title=Text(id="Gateway terputus", en="Gateway offline"),
        summary=Text(
            id="Tidak ada kabar dari gateway selama tiga menit. Perangkatnya ikut tak terdengar; "
            "yang diukurnya tersimpan di kartunya.",
            en="No word from the gateway for three minutes. Its devices aren't heard either; what "
            "it measures waits on its card.",
        ),
        advice=Text(
            id="Periksa listrik dan jaringan 4G di lokasi.", en="Check power and 4G at the site."
        ),
    ),
    Rule(
        id="backlog_growing",
        kind="gateway",
        source="gateway_health",
        fields=("backlog_growing_s",),
        measure=number("backlog_growing_s"),
        unit="s",
        fires=900.0,
        clears=300.0,
        for_s=300,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Antrean gateway bertambah", en="Backlog growing"),
        summary=Text(
            id="Gateway terhubung, tetapi yang menunggu di kartunya bertambah.",
            en="The gateway is connected, but more and more waits on its card.",
        ),
        advice=Text(
            id="Jika semua gateway begini: ingestor atau basis data. Jika satu: jaringannya.",
            en="If all gateways do: the ingestor or the database. If one does: its link.",
        ),
    ),
    Rule(
        id="outbox_full",
        kind="gateway",
        source="gateway_health",
        fields=("outbox_share",),
        measure=number("outbox_share"),
        unit="%",
        fires=0.80,
        clears=0.70,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Penyimpanan gateway hampir penuh", en="Outbox near full"),
        summary=Text(
            id="Ruang tunggu di kartu terisi lebih dari 80 %.",
            en="More than 80 % of the outbox's room on the card is taken.",
        ),
        advice=Text(
            id="Pulihkan jaringan sebelum penuh: setelah itu data terlama hilang.",
            en="Mend the link before it is full: after that the oldest readings go.",
        ),
    ),
    Rule(
        id="clock_bad",
        kind="gateway",
        source="gateway_health",
        fields=("clock",),
        measure=is_one_of("clock", "untrusted"),
        fires=YES,
        clears=NO,
        for_s=600,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Jam gateway tidak dipercaya", en="Gateway's clock not trusted"),
        summary=Text(
            id="Gateway belum tahu waktu, jadi belum mengirim apa pun.",
            en="The gateway doesn't know the time yet, so it sends nothing.",
        ),
        advice=Text(
            id="Buka jalan ke NTP (UDP 123), atau jalankan gampong watch.",
            en="Let it reach NTP (UDP 123), or run gampong watch.",
        ),
    ),
    Rule(
        id="certificate_ending",
        kind="gateway",
        source="gateway_health",
        fields=("certificate",),
        measure=is_one_of("certificate", "ending", "over"),
        fires=YES,
        clears=NO,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Sertifikat gateway hampir habis", en="Certificate ending"),
        summary=Text(
            id="Sertifikat gateway hampir habis masa berlakunya dan belum juga diperbarui.",
            en="The gateway's certificate ends soon, and it hasn't managed to get the next one.",
        ),
        advice=Text(
            id="Periksa apakah gampong gateway renew berjalan; catatan gateway menyebut sebabnya "
            "(event=not_renewed).",
            en="See that gampong gateway renew runs; the gateway's log says why "
            "(event=not_renewed).",
        ),
    ),
    Rule(
        id="certificate_over",
        kind="gateway",
        source="gateway_health",
        fields=("certificate",),
        measure=is_one_of("certificate", "over"),
        fires=YES,
        clears=NO,
        severity=Severity.CRITICAL,
        subject=Subject.GATEWAY,
        title=Text(id="Sertifikat gateway habis", en="Certificate over"),
        summary=Text(
            id="Masa berlaku sertifikat gateway sudah habis. Begitu sambungannya putus, broker "
            "tidak menerimanya lagi.",
            en="The gateway's certificate has ended. Once its connection breaks, the broker "
            "doesn't let it in again.",
        ),
        advice=Text(
            id="Buat bundel baru dengan gampong gateway add, lalu gampong edge enrol di lokasi. "
            "Data menunggu di kartunya.",
            en="Make a new bundle with gampong gateway add, then gampong edge enrol at the site. "
            "Readings wait on its card.",
        ),
    ),
    Rule(
        id="incomplete",
        kind="gateway",
        source="gateway_completeness",
        fields=("share",),
        measure=number("share"),
        unit="%",
        fires=0.999,
        clears=0.999,
        above=False,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Data gateway tidak lengkap", en="Readings missing"),
        summary=Text(
            id="Kurang dari 99,9 % kiriman hari ini atau kemarin ada di basis data.",
            en="Less than 99.9 % of today's or yesterday's batches are in the database.",
        ),
        advice=Text(
            id="Lihat kolom why di gateway_completeness; kirim ulang dengan gampong outbox resend.",
            en="See why in gateway_completeness; send again with gampong outbox resend.",
        ),
    ),
    Rule(
        id="gateway_over_limit",
        kind="gateway",
        source="gateway_health",
        fields=("over_limit",),
        measure=number("over_limit"),
        fires=YES,
        clears=NO,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Gateway melebihi batas", en="Gateway over its limits"),
        summary=Text(
            id="Gateway mendaftarkan lebih banyak perangkat baru, atau lebih sering memberi kabar, "
            "daripada yang diizinkan.",
            en="The gateway announces more new devices, or speaks more often, than it may.",
        ),
        advice=Text(
            id="Jika benar ada pemasangan besar: besok berlanjut sendiri, atau naikkan "
            "new_a_day_max. Jika tidak: cabut sertifikatnya.",
            en="If many were installed: it goes on tomorrow by itself, or raise new_a_day_max. If "
            "not: revoke its certificate.",
        ),
    ),
    Rule(
        id="card_worn",
        kind="gateway",
        source="gateway_health",
        fields=("card_life_used",),
        measure=number("card_life_used"),
        unit="%",
        fires=0.80,
        clears=0.75,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Kartu gateway aus", en="Card worn"),
        summary=Text(
            id="Lebih dari 80 % umur kartu penyimpanan terpakai.",
            en="More than 80 % of the card's life is used.",
        ),
        advice=Text(
            id="Ganti kartu pada kunjungan berikutnya.", en="Replace the card on the next visit."
        ),
    ),
    Rule(
        id="sim_quota",
        kind="gateway",
        source="gateway_health",
        fields=("uplink_share",),
        measure=number("uplink_share"),
        unit="%",
        fires=0.80,
        clears=0.75,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Kuota SIM gateway hampir habis", en="SIM quota nearly used"),
        summary=Text(
            id="Lebih dari 80 % kuota data bulan ini terpakai.",
            en="More than 80 % of this month's data is used.",
        ),
        advice=Text(
            id="Isi ulang, atau cari sebabnya: kanal yang putus-sambung, pembaruan sistem.",
            en="Top it up, or find what uses it: a link that flaps, system updates.",
        ),
    ),
    Rule(
        id="bus_errors",
        kind="gateway",
        source="gateway_health",
        fields=("link_error_share",),
        measure=number("link_error_share"),
        unit="%",
        fires=0.05,
        clears=0.01,
        for_s=600,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Galat di kabel sensor", en="Bus errors"),
        summary=Text(
            id="Lebih dari 5 % pembacaan satu jam terakhir gagal.",
            en="More than 5 % of the last hour's reads failed.",
        ),
        advice=Text(
            id="Periksa terminasi, sambungan A/B dan panjang kabel RS-485.",
            en="Check termination, A/B and the length of the RS-485 cable.",
        ),
    ),
    Rule(
        id="link_down",
        kind="gateway",
        source="gateway_health",
        fields=("links_down",),
        measure=number("links_down"),
        fires=YES,
        clears=NO,
        for_s=300,
        severity=Severity.WARNING,
        subject=Subject.GATEWAY,
        title=Text(id="Sambungan gateway putus", en="Link down"),
        summary=Text(
            id="Satu sambungan sensor gateway (serial, Modbus, LoRaWAN, WiFi) putus.",
            en="One of the gateway's links (serial, Modbus, LoRaWAN, WiFi) is down.",
        ),
        advice=Text(
            id="Lihat status gateway: nama sambungan dan sebabnya ada di sana.",
            en="The gateway's status names the link and the cause.",
        ),
    ),
    Rule(
        id="device_silent",
        kind="device",
        source="device_health",
        fields=("state",),
        measure=is_one_of("state", "silent"),
        fires=YES,
        clears=NO,
        for_s=600,
        device_kinds=tuple(kind for kind in KINDS if kind != "parking_spot"),
        severity=Severity.WARNING,
        title=Text(id="Perangkat diam", en="Device silent"),
        summary=Text(
            id="Gateway terhubung, tetapi perangkat ini tidak mengirim.",
            en="The gateway is there, but nothing comes from this device.",
        ),
        advice=Text(
            id="Periksa baterai, kabel dan antenanya.", en="Check its battery, cable and antenna."
        ),
    ),
)
