"""Commissioning on the whole line: the point that the gateway's page shows is the one that the
database has, for a sensor on a bus and for one by radio."""

from __future__ import annotations

import html
import json
import re
from contextlib import ExitStack

import pytest

from edge.page.ears import with_gateway
from edge.page.pin import write
from tests.edge.page.rig import PIN, Phone
from tests.line.listening import Client, until
from tests.line.street import GATEWAY, Street
from tests.servers import free_port
from wire.line import parse_line

PAGE = '[page]\nhost = "127.0.0.1"\nport = {port}\npin_file = "{folder}/page.pin"\n'


@pytest.mark.parametrize("device", ["bay-1", "bay-lora"])
def test_the_point_on_the_technicians_phone_is_the_one_in_the_database(tmp_path, device):
    with ExitStack() as stack:
        street = Street(tmp_path, stack)
        port = free_port()
        page = PAGE.format(port=port, folder=tmp_path)
        street.gateway_file.write_text(street.gateway_file.read_text() + page)
        write(tmp_path / "page.pin", PIN)
        network = stack.enter_context(Client(street.site))
        agent = street.start_agent()
        agent.said("event=started")
        phone = Phone(port)
        phone.enter()
        phone.post("/follow", device=device)
        if device == "bay-lora":
            assert "press the device" in phone.get(f"/live/way?name={device}")[1]
            until(lambda: street.site.log.read_text().count("SUBSCRIBE"), "the link listens")
            network.say(*street.uplink())
        at = f"/live/way?name={device}"
        until(lambda: "Kept on the gateway, will be sent" in phone.get(at)[1], "it is kept")
        phone.post("/commission", device=device, verdict="pass", place="5.57, 95.32", note="")
        street.start_ingestor()
        until(lambda: "Stored in the city" in phone.get(at)[1], "it is confirmed")
        until(lambda: "Stored in the city" in phone.get("/sheet")[1], "the sheet knows")
        found = re.search(r"<code>(parking_spot,[^<]+)</code>", phone.get(at)[1])
        assert found
        point = html.unescape(found[1])
        assert f",gateway={GATEWAY}," in point
        reading, site, zone = parse_line(point.replace(f",gateway={GATEWAY}", ""))
        (row,) = [row for row in street.points()[device] if row.time_ms == reading.time_ms]
        assert row.fields == reading.fields
        assert (row.tags["gateway"], row.tags["site"], row.tags["zone"]) == (GATEWAY, site, zone)
        (entry,) = json.loads((tmp_path / "commissioning.json").read_text())["entries"]
        assert with_gateway(point.replace(f",gateway={GATEWAY}", ""), GATEWAY) == entry["point"]
