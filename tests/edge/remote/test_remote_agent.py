"""A configuration from afar and commands, on a real agent: a ranger on a pty, a real mosquitto."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from edge.site_log import read_log
from tests.edge.remote.far_desk import FarDesk
from tests.edge.test_agent import GATEWAY, agent, distances
from tests.edge.uplink.far_side import FarSide, until
from tests.line.sensors import Ranger
from tests.line.trusted import PLUGINS
from tests.servers import Mosquitto
from wire.remote import Ask, ConfigurationState, text_digest

PATIENT_S, SHORT_S = 100, 3


def written(folder: Path, broker: Mosquitto, ranger: Ranger, trial_s: int) -> Path:
    path = folder / "gateway.toml"
    text = GATEWAY.format(port=broker.port, folder=folder, serial=ranger.path)
    path.write_text(f"# the ranger at the market\n{text}\n[remote]\ntrial_s = {trial_s}\n")
    return path


def test_a_good_configuration_is_tried_and_stays(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        wanted = file.read_text().replace('site = "pasar"', 'site = "pasar"\nlabel = "Pasar"')
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: cloud.keyed)
            desk.want(7, wanted, text_digest(file.read_text()))
            await until(lambda: "7 applied" in desk.states())
            assert desk.applied[-1].digest == text_digest(wanted)
            await until(lambda: cloud.inventories[-1].label == "Pasar")
            ledger = running.stop()
        assert file.read_text() == wanted
        assert "# the ranger at the market" in file.read_text()
        assert ledger.balanced
        assert ledger.waiting == 0
        assert ledger.gaps == 0
        assert ledger.stored == len(distances(cloud))
        assert [one.who for one in read_log(tmp_path)] == ["cloud (ops)"]

    asyncio.run(scenario())


def test_one_that_reads_no_sensor_any_more_goes_back_by_itself(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, SHORT_S)
        before = file.read_text()
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: cloud.keyed)
            desk.want(1, before.replace(str(ranger.path), f"{tmp_path}/nothing-there"))
            await until(lambda: "1 rolled_back" in desk.states())
            assert file.read_text() == before
            seen = len(cloud.keyed)
            await until(lambda: len(cloud.keyed) > seen + 1)
            ledger = running.stop()
        assert desk.states() == ["1 trying", "1 rolled_back"]
        assert "no batch sealed with it was confirmed" in desk.applied[-1].reason
        assert ledger.balanced
        assert (ledger.waiting, ledger.gaps) == (0, 0)
        assert [one.what for one in read_log(tmp_path)] == ["rolled_back"]

    asyncio.run(scenario())


def test_the_power_goes_during_the_trial_and_it_still_goes_back(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, SHORT_S)
        before = file.read_text()
        bad = before.replace(str(ranger.path), f"{tmp_path}/nothing-there")
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk:
            with agent(file) as running:
                await until(lambda: cloud.keyed)
                desk.want(1, bad)
                await until(lambda: "1 trying" in desk.states())
                running.kill()
            assert file.read_text() in (before, bad)
            with agent(file) as running:
                await until(lambda: "1 rolled_back" in desk.states())
                seen = len(cloud.keyed)
                await until(lambda: len(cloud.keyed) > seen + 1)
                ledger = running.stop()
        assert file.read_text() == before
        assert ledger.balanced
        assert ledger.waiting == 0

    asyncio.run(scenario())


def test_one_that_would_cut_the_site_off_is_refused_with_its_reason(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        before = file.read_text()
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: cloud.keyed)
            desk.want(1, before.replace("[broker]", '[broker]\nhost = "203.0.113.1"'))
            await until(lambda: "1 refused" in desk.states())
            assert "[broker] can only be changed at the site" in desk.applied[-1].reason
            desk.want(2, before.replace('name = "bin-1"', 'name = "Bin 1"'))
            await until(lambda: "2 refused" in desk.states())
            assert "device[0].name" in desk.applied[-1].reason
            desk.want(3, before, base="0" * 32)
            await until(lambda: "3 refused" in desk.states())
            running.stop()
        assert file.read_text() == before
        assert ConfigurationState.TRYING not in [one.state for one in desk.applied]

    asyncio.run(scenario())


def test_a_broker_that_forgot_is_told_again_what_became_of_a_configuration(
    tmp_path, broker, ranger
):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: cloud.keyed)
            desk.want(1, "not TOML")
            await until(lambda: "1 refused" in desk.states())
            broker.kill()
            broker.start()
            with FarDesk(broker, "gateway-1") as anew:
                await until(lambda: "1 refused" in anew.states())
            running.stop()

    asyncio.run(scenario())


def test_commands_are_carried_out_once_and_answered(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        slow = file.read_text().replace("poll_interval_s = 0.1", "poll_interval_s = 3000")
        file.write_text(slow.replace("heartbeat_s = 0.05", "heartbeat_s = 6000"))
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: any(one.online for one in cloud.statuses))
            desk.ask("old", Ask.READ_NOW, "bin-1", for_s=-5)
            desk.ask("far", Ask.READ_NOW, "bin-1", for_s=86_400)
            desk.ask("what", Ask.READ_NOW, "bin-2")
            desk.ask("read", Ask.READ_NOW, "bin-1")
            desk.ask("read", Ask.READ_NOW, "bin-1")
            desk.ask("link", Ask.RESTART_LINK, "ranger")
            desk.ask("often", Ask.SET_INTERVAL, "bin-1", 0.01)
            desk.ask("text", Ask.TELL_CONFIGURATION)
            await until(lambda: len(desk.results) == 8)
            said = {one.id: one for one in desk.results}
            done = {id_ for id_, one in said.items() if one.done}
            assert done == {"read", "link", "text"}
            assert said["old"].detail.startswith("too old by")
            assert "ahead" in said["far"].detail
            assert said["what"].detail == "no device bin-2"
            twice = [one for one in desk.results if one.id == "read"]
            assert twice[0] == twice[1]
            distance_mm = round(float(twice[0].detail.split()[-1]))
            assert distance_mm in ranger.distances_mm
            assert "isn't within" in said["often"].detail
            assert said["text"].text == file.read_text()
            assert "event=link_restart link=ranger" in running.log.read_text()
            await until(lambda: distance_mm in distances(cloud))  # told, whatever its dead band
            running.stop()

    asyncio.run(scenario())


def test_a_site_that_accepts_nothing_is_asked_nothing(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        file.write_text(file.read_text() + 'accept = "nothing"\n')
        before = file.read_text()
        with FarSide(broker) as cloud, FarDesk(broker, "gateway-1") as desk, agent(file) as running:
            await until(lambda: cloud.keyed)
            desk.want(1, before.replace('name = "pasar"', 'name = "other"'))
            desk.ask("read", Ask.READ_NOW, "bin-1")
            seen = len(cloud.keyed)
            await until(lambda: len(cloud.keyed) > seen + 2)
            running.stop()
        assert (desk.applied, desk.results) == ([], [])
        assert file.read_text() == before

    asyncio.run(scenario())


OF_BEFORE = ("batch", "backfill", "confirm", "status", "inventory")
"""The topics of an access list that is older than remote configuration."""


def guarded(folder: Path) -> Mosquitto:
    """A broker that refuses, and says so, whatever isn't in a list of before."""
    topics = [f"gampong/v1/+/{leaf}" for leaf in OF_BEFORE]
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    acls = [{"acltype": kind, "topic": one, "allow": True} for kind in kinds for one in topics]
    acls += [
        {"acltype": "subscribePattern", "topic": f"$share/+/{one}", "allow": True} for one in topics
    ]
    nothing = dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe"), False)
    state = {
        "defaultACLAccess": nothing | {"unsubscribe": True},
        "clients": [],
        "groups": [{"groupname": "all", "roles": [{"rolename": "before"}]}],
        "roles": [{"rolename": "before", "acls": acls}],
        "anonymousGroup": "all",
    }
    path = folder / "dynamic-security.json"
    path.write_bytes(msgspec.json.encode(state))
    path.chmod(0o600)
    return Mosquitto(folder, config=f"plugin {PLUGINS[0]}\nplugin_opt_config_file {path}")


def test_a_broker_that_lets_nobody_ask_takes_nothing_from_the_readings(tmp_path, ranger):
    async def scenario() -> None:
        folder = tmp_path / "guarded"
        folder.mkdir()
        with guarded(folder) as broker:
            file = written(tmp_path, broker, ranger, PATIENT_S)
            with FarSide(broker) as cloud, agent(file) as running:
                await until(lambda: len(cloud.keyed) > 3)
                ledger = running.stop()
                log = running.log.read_text()
        assert (ledger.balanced, ledger.waiting) == (True, 0)
        assert "event=not_allowed" in log
        assert "event=uplink_down" not in log

    asyncio.run(scenario())


def test_the_bytes_of_a_month_are_told_and_outlive_a_power_cut(tmp_path, broker, ranger):
    async def scenario() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        sim = 'status_interval_s = 1\ninterface = "lo"\nquota_mb = 1000000'
        file.write_text(file.read_text().replace("status_interval_s = 1", sim))
        with FarSide(broker) as cloud:
            with agent(file) as running:
                await until(lambda: any(one.uplink_bytes for one in cloud.statuses))
                seen = len(cloud.keyed)
                await until(lambda: len(cloud.keyed) > seen + 1)  # it was sealed, and committed
                running.kill()
            before = next(one.uplink_bytes or 0 for one in cloud.statuses)
            started = len(cloud.statuses)
            with agent(file) as running:
                await until(lambda: any(one.online for one in cloud.statuses[started:]))
                running.stop()
        after = [one for one in cloud.statuses[started:] if one.online]
        assert (after[0].uplink_bytes or 0) > before
        assert after[0].uplink_quota_bytes == 10**12

    asyncio.run(scenario())
