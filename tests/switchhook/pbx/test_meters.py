"""What /metrics and Connections say of the PBX's clock and of events that are not seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ami_bridge.doctor import doctor as pbx_doctor
from ami_bridge.doctor import sight
from ami_bridge.observer import Observer
from ami_bridge.quarantine import SMUGGLED, Judgement, LinkSession, judge
from ami_bridge.wire.connection import PbxLink
from ami_bridge.wire.message import message_from_headers
from call_records.calls.live import LiveBoard
from switchhook.doctor import doctor
from switchhook.doctor.findings import Level
from switchhook.pbx.meters import ServiceMeters
from switchhook.pbx.monitor import Bridge
from switchhook.settings.tables import PbxSettings


def observer() -> Observer:
    return Observer(PbxLink("hq", "127.0.0.1", 1, "switchhook", "secret"))


def metered(seen: Observer) -> dict[str, float]:
    bridge = SimpleNamespace(
        feed=seen,
        indigestible=0,
        swept=0,
        cel_failures=0,
        teller=SimpleNamespace(tracker=SimpleNamespace(live=list)),
    )
    meters = ServiceMeters({"hq": cast(Bridge, bridge)}, None, LiveBoard())
    return {sample.name: sample.value for family in meters.collect() for sample in family.samples}


def test_the_clock_is_metered_and_said() -> None:
    """A PBX two minutes ahead, whose clock was set once; and one that agrees."""
    seen = observer()
    seen._connected = True
    assert seen.link_state().problem is None
    seen.pbx_clock.set_skew(120.0)
    seen.pbx_clock.steps_seen = 1
    told = metered(seen)
    assert told["switchhook_ami_clock_skew_seconds"] == 120.0
    assert told["switchhook_ami_clock_steps_total"] == 1.0
    assert told["switchhook_ami_blind"] == 0.0
    problem = seen.link_state().problem or ""
    assert problem.startswith("The phone system's clock is 2 minutes ahead of ours:")


def test_every_meter_of_the_link_has_a_value() -> None:
    """Named for the reader of the page, and there from the start."""
    told = metered(observer())
    for name in ("overflows_total", "snapshots_again_total", "queue_items", "lag_seconds", "connected"):
        assert told[f"switchhook_ami_{name}"] == 0.0


@pytest.mark.parametrize(("kind", "judged"), [("VarSet", Judgement.FLAG), ("Status", Judgement.ACCEPT)])
def test_variable_comes_once_in_a_varset(kind: str, judged: Judgement) -> None:
    """A second `Variable` in a VarSet is somebody's text; in Status there is one for each that was asked for."""
    message = message_from_headers(
        [
            ("Event", kind),
            ("Privilege", "dialplan,all"),
            ("Channel", "PJSIP/101-00000001"),
            ("Uniqueid", "1795313512.1"),
            ("Variable", "CALLERNAME"),
            ("Value", "x"),
            ("Variable", "MIXMONITOR_FILENAME"),
        ],
        1795313512.0,
    )
    assert message is not None
    verdict = judge(message, LinkSession())
    assert verdict.judgement is judged
    assert verdict.message.get("Variable") == "CALLERNAME"
    assert (verdict.reason == SMUGGLED) is (judged is Judgement.FLAG)


async def test_the_doctor_watches_a_pbx_that_lets_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clock and sight are asked for after the login was well, and not after a fault."""
    login = [pbx_doctor.Finding(pbx_doctor.Level.OK, "The login works.")]

    async def examine(*_: Any) -> list[pbx_doctor.Finding]:
        return list(login)

    async def said(_: Any) -> list[pbx_doctor.Finding]:
        return [pbx_doctor.Finding(pbx_doctor.Level.WARN, "watched", "remedy")]

    monkeypatch.setattr(pbx_doctor, "examine", examine)
    monkeypatch.setattr(sight, "examine_clock", said)
    monkeypatch.setattr(sight, "examine_sight", said)
    pbx = PbxSettings.model_validate({"id": "hq", "username": "switchhook", "secret": "x"})
    told = [(each.level, each.what) for each in await doctor.examine_pbx(pbx)]
    assert told[1:] == [(Level.NOTICE, "watched")] * 2
    login[0] = pbx_doctor.Finding(pbx_doctor.Level.FAULT, "refused", "remedy")
    assert len(await doctor.examine_pbx(pbx)) == 1
