"""Two notifiers, a receiver that fails, kill -9 and SIGSTOP: every end state arrives, repeats only within doubts."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import NOTICE, encode
from kgents_shared.contract.notice import Notice
from support.build import NOW
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.state import make_alert, subject_of
from support.streams import provision_streams
from support.waiting import eventually

ENTITIES = [f"lone-{number}" for number in range(8)]
FAULTS = (
    None,
    None,
    Fault("reply", Reply(429, headers={"Retry-After": "1"}), is_processed=False),
    Fault("reply", Reply(500)),
    Fault("reset"),
    Fault("half"),
)


def settings(url: str) -> str:
    return json.dumps(  # which is YAML, too
        {
            "alert-notifier": {
                "receivers": {"tool": {"webhook": {"url": url}}},
                "routes": [{"to": ["tool"], "wait_s": 0}],
                "grouping": {"calm_s": 1},
            }
        }
    )


def took(_: Got) -> Reply:
    return Reply(204)


async def publish(bus: Bus, alert: Alert) -> None:
    await (await bus.session()).publish(subject_of(alert), encode(alert))


async def notices(bus: Bus) -> list[Notice]:
    view = StateView(bus, NOTICE, "KGENTS_NOTICE", [subjects.pattern("notice", cluster="test")])
    await view.load()
    return [row.message for row in view.rows.values()]


def names_of(server: StandIn, state: str) -> set[str]:
    """The entities of which the receiver got this state."""
    bodies = [json.loads(each.body)["incident"] for each in server.processed]
    return {each["root"]["ref"]["name"] for each in bodies if each["state"] == state}


@pytest.mark.timeout(240)
async def test_every_end_state_arrives_and_repeats_stay_within_the_doubts(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with NatsServer(tmp_path / "nats") as nats, StandIn(took) as people:
        config = tmp_path / "kgents.yaml"
        config.write_text(settings(f"{people.url}/canary-path"))
        async with Bus(NatsConfig(url=nats.url), name="test") as bus:
            await provision_streams(bus)
            one = ServiceProcess("alert-notifier", nats.url, tmp_path, instance="one", config=config)
            two = ServiceProcess("alert-notifier", nats.url, tmp_path, instance="two", config=config)
            async with one:
                people.faults = [chance.choice(FAULTS) for _ in range(6)]
                for name in ENTITIES[:5]:
                    await publish(bus, make_alert(name, started_at=NOW))
                await eventually(lambda: names_of(people, "open"), 30)
                async with two:
                    people.faults = [Fault("hang")]
                    for name in ENTITIES[5:]:
                        await publish(bus, make_alert(name, started_at=NOW))
                    await eventually(lambda: not people.faults, 60)
                    one.kill()  # it has sent, and will never confirm
                    people.faults = [chance.choice(FAULTS) for _ in range(6)]
                    await eventually(lambda: names_of(people, "open") == set(ENTITIES), 120)
                    one.start()
                    people.faults = [*(chance.choice(FAULTS) for _ in range(2)), Fault("hang")]
                    for name in ENTITIES:
                        await publish(bus, make_alert(name, state="resolved", started_at=NOW, ended_at=NOW))
                    await eventually(lambda: not people.faults, 60)
                    two.pause()  # a zombie in the middle of a request
                    await eventually(lambda: names_of(people, "resolved") == set(ENTITIES), 120)
                    two.resume()

                    async def all_is_known() -> bool:
                        found = await notices(bus)
                        return len(found) == len(ENTITIES) and all(
                            each.delivered_state == "resolved" and not each.sending for each in found
                        )

                    await eventually(all_is_known, 60)
                    judge(people, await notices(bus))
        for log in (one.log, two.log):
            assert "canary" not in log.read_text()


def judge(people: StandIn, known: list[Notice]) -> None:
    got = Counter(each.headers["webhook-id"] for each in people.processed)
    last: dict[str, str] = {}
    for each in people.processed:
        incident = json.loads(each.body)["incident"]
        last[incident["id"]] = incident["state"]
    for notice in known:
        assert last[notice.incident] == "resolved"
        repeats = sum(count - 1 for id_, count in got.items() if id_.startswith(f"{notice.incident}."))
        assert repeats <= notice.doubts, (notice, got)
    assert sum(notice.doubts for notice in known) >= 2  # the killed one and the zombie
