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

MB = 1_000_000


def look_at_file(path: Path, configuration: EdgeConfiguration) -> Finding:
    """Whether it can be changed from afar and by the gateway's page."""
    kept = folder_of(configuration) / path.name
    if not path.is_symlink() and kept.exists() and not kept.samefile(path):
        remedy = "Restart the service: it takes this file up, and makes it a link again"
        return warns("configuration", f"{path} isn't {kept}, which the agent changes", remedy)
    folder, outbox = path.resolve().parent, folder_of(configuration)
    if outbox.exists() and folder.stat().st_uid != outbox.stat().st_uid:
        remedy = "Restart the service once: it keeps the file where the agent may change it"
        seen = f"{path}: only root may change it, not the cloud, nor the gateway's page"
        return warns("configuration", seen, remedy)
    return passes("configuration", f"{path.resolve()}")


def look_at_sim(configuration: EdgeConfiguration, states: Mapping[str, bytes]) -> Iterator[Finding]:
    """Bytes this month, of the quota; nothing where no interface is named."""
    uplink = configuration.uplink
    if not uplink.interface:
        return
    if interface_bytes(interface=uplink.interface) is None:
        remedy = "Is the modem plugged in? See: ip link; or mend uplink.interface"
        yield warns("SIM", f"no interface {uplink.interface}", remedy)
    counted: Counted | None = kept_month(states.get(STATE))
    if counted is None:
        yield passes("SIM", "nothing counted yet")
        return
    seen = f"{counted.total / MB:.1f} MB since {counted.month}"
    if not uplink.quota_mb:
        yield passes("SIM", seen)
        return
    share = counted.total / (uplink.quota_mb * MB)
    seen += f", {share:.0%} of {uplink.quota_mb} MB"
    if share >= WARN_SHARE:
        yield warns("SIM", seen, "Top it up, or find what uses it: system updates, a flapping link")
    else:
        yield passes("SIM", seen)
