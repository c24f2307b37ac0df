"""The cloud side: what would otherwise fail in silence."""

from __future__ import annotations

from ingest.rules.rule import NO, YES, Rule, Severity, Subject, Text, is_one_of, number

RULES = (
    Rule(
        id="dead_letters",
        kind="cloud",
        source="ingestor_health",
        fields=("dead_letters_bytes",),
        measure=number("dead_letters_bytes"),
        unit="B",
        fires=YES,
        clears=NO,
        severity=Severity.WARNING,
        subject=Subject.INGESTOR,
        title=Text(id="Ada data yang ditolak", en="Dead letters"),
        summary=Text(
            id="Basis data menolak sebagian data; data itu menunggu di berkas.",
            en="The database refused some readings; they wait in the dead-letter file.",
        ),
        advice=Text(
            id="Perbaiki sebabnya, lalu jalankan gampong ingest replay.",
            en="Mend the cause, then run gampong ingest replay.",
        ),
    ),
    Rule(
        id="ingest_over_limit",
        kind="cloud",
        source="ingestor_health",
        fields=("over_limit",),
        measure=number("over_limit"),
        fires=YES,
        clears=NO,
        severity=Severity.WARNING,
        subject=Subject.INGESTOR,
        title=Text(id="Gateway mengirim terlalu banyak", en="A gateway sends too much"),
        summary=Text(
            id="Satu gateway atau lebih mengirim lebih cepat, atau lebih banyak nama baru, dari"
            "pada yang diizinkan; kelebihannya ditahan.",
            en="One gateway or more sends faster, or more new names, than it may; what is more "
            "waits.",
        ),
        advice=Text(
            id="Catatan ingestor menyebut namanya (event=over_limit).",
            en="The ingestor's log names it (event=over_limit).",
        ),
    ),
    Rule(
        id="broker_away",
        kind="cloud",
        source="watch_health",
        fields=("listening",),
        measure=is_one_of("listening", 0),
        fires=YES,
        clears=NO,
        for_s=120,
        severity=Severity.CRITICAL,
        subject=Subject.WATCH,
        title=Text(id="Broker MQTT tidak terjangkau", en="MQTT broker away"),
        summary=Text(
            id="Penjaga tidak terhubung ke broker; gateway tidak dinilai selama itu.",
            en="The watch isn't connected to the broker; gateways aren't judged meanwhile.",
        ),
        advice=Text(
            id="Periksa mosquitto dan jaringan server.",
            en="Check mosquitto and the server's network.",
        ),
    ),
    Rule(
        id="watch_silent",
        kind="cloud",
        source="watch_health",
        fields=("uptime_s",),
        measure=number("uptime_s"),
        fires=0.0,
        clears=0.0,
        above=False,
        for_s=180,
        severity=Severity.CRITICAL,
        subject=Subject.WATCH,
        no_data_fires=True,
        title=Text(id="Penjaga diam", en="The watch is silent"),
        summary=Text(
            id="Tidak ada yang menilai aturan: tidak ada kabar lain yang akan datang.",
            en="Nobody judges the rules: no other message will come.",
        ),
        advice=Text(
            id="Jalankan gampong watch; lihat catatannya dan basis data.",
            en="Start gampong watch; see its log and the database.",
        ),
    ),
)
