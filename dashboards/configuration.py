"""The page's configuration: only where to read from.

    [store]
    type = "influxdb2"
    url = "http://127.0.0.1:8086"
    token_file = "/etc/gampong/influxdb-read.token"

A file of its own, since a page needs the reading token and no broker.
"""

from __future__ import annotations

from ingest.stores.configuration import StoreSettings
from wire.configuration import Configuration


class PageConfiguration(Configuration, frozen=True):
    """What `gampong page --config` reads."""

    store: StoreSettings
