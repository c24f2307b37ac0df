"""Where the configuration lies, and what the SIM has left, for the doctor.

In: the path that was given, the configuration, the outbox's states. Out: findings. One truth: the
service runs what /etc/gampong/gateway.toml is, and keeps it where the agent may write; an editor
that put a plain file in the link's place has made a second one, which the service's next start
takes up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, passes, warns
from edge.month import STATE, WARN_SHARE, Counted, interface_bytes, kept_month
from edge.site_log import folder_of
from wire.sentence import told

MB = 1_000_000
_CONFIGURATION, _SIM = told("configuration"), told("SIM")


def look_at_file(path: Path, configuration: EdgeConfiguration) -> Finding:
    """Whether it can be changed from afar and by the gateway's page."""
    kept = folder_of(configuration) / path.name
    if not path.is_symlink() and kept.exists() and not kept.samefile(path):
        remedy = told("Restart the service: it takes this file up, and makes it a link again")
        seen = told("{path} isn't {kept}, which the agent changes", path=path, kept=kept)
        return warns(_CONFIGURATION, seen, remedy)
    folder, outbox = path.resolve().parent, folder_of(configuration)
    if outbox.exists() and folder.stat().st_uid != outbox.stat().st_uid:
        remedy = told("Restart the service once: it keeps the file where the agent may change it")
        seen = told(
            "{path}: only root may change it, not the cloud, nor the gateway's page", path=path
        )
        return warns(_CONFIGURATION, seen, remedy)
    return passes(_CONFIGURATION, told("{path}", path=path.resolve()))


def look_at_sim(configuration: EdgeConfiguration, states: Mapping[str, bytes]) -> Iterator[Finding]:
    """Bytes this month, of the quota; nothing where no interface is named."""
    uplink = configuration.uplink
    if not uplink.interface:
        return
    if interface_bytes(interface=uplink.interface) is None:
        remedy = told("Is the modem plugged in? See: ip link; or mend uplink.interface")
        yield warns(_SIM, told("no interface {interface}", interface=uplink.interface), remedy)
    counted: Counted | None = kept_month(states.get(STATE))
    if counted is None:
        yield passes(_SIM, told("nothing counted yet"))
        return
    seen = told("{used_mb:.1f} MB since {month}", used_mb=counted.total / MB, month=counted.month)
    if not uplink.quota_mb:
        yield passes(_SIM, seen)
        return
    share = counted.total / (uplink.quota_mb * MB)
    seen = told(
        "{used}, {share:.0%} of {quota_mb} MB", used=seen, share=share, quota_mb=uplink.quota_mb
    )
    if share >= WARN_SHARE:
        remedy = told("Top it up, or find what uses it: system updates, a flapping link")
        yield warns(_SIM, seen, remedy)
    else:
        yield passes(_SIM, seen)
