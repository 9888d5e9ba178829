"""What goes wrong with NATS servers, and with what their streams hold."""

import asyncio
import json
from typing import Final

from faults.schedules.names import CANARY, CLUSTER
from faults.schedules.raw import Json
from faults.schedules.run import Run, attempt, changes
from faults.schedules.site import STORE_BYTES, copy_store
from support.waiting import eventually

FILL_BYTES: Final = 2**20 - 4096
REMADE_S: Final = 60.0
"""A cluster that was just divided elects a leader first, and makes no stream until then. Nothing else would make it."""


async def nats_kill(run: Run) -> str:
    """kill -9 of a NATS server, and its start."""
    node = run.dice.choice(run.site.nodes)
    node.kill()
    await changes(run, nats_is_away=True)
    await asyncio.sleep(run.short_s)
    await node.start()
    return str(run.site.nodes.index(node))


async def nats_away(run: Run) -> str:
    """NATS is away for longer than a lease lasts."""
    for node in run.site.nodes:
        node.kill()
    await changes(run, nats_is_away=True)
    await asyncio.sleep(run.dice.choice((3.0, 6.0)))
    for node in run.site.nodes:
        await node.launch()
    for node in run.site.nodes:
        await node.ready()
    return ""


async def nats_freeze(run: Run) -> str:
    """A NATS server stands still."""
    node = run.dice.choice(run.site.nodes)
    node.pause()
    await asyncio.sleep(run.dice.choice((0.5, 3.0)))
    node.resume()
    return str(run.site.nodes.index(node))


async def nats_restart(run: Run) -> str:
    """SIGTERM of each NATS server, one after the other."""
    for node in run.site.nodes:
        await node.stop()
        await node.start()
    if run.site.cluster is not None:
        await run.site.cluster.formed()
    return ""


async def isolate(run: Run) -> str:
    """A node of the cluster loses all its routes for a while."""
    assert run.site.cluster is not None
    number = run.dice.randrange(len(run.site.nodes))
    run.site.cluster.isolate(number)
    await changes(run)
    for_s = run.dice.choice((1.0, 6.0, 12.0))
    await asyncio.sleep(for_s)
    run.site.cluster.heal()
    return f"{number} for {for_s:g} s"


async def stepdown(run: Run) -> str:
    """Other nodes lead the streams."""
    names = run.dice.sample(("ENTITY", "TOPOLOGY", "HEALTH", "META", "PULSE"), 3)
    for name in names:
        await attempt(run.reader.ask(f"$JS.API.STREAM.LEADER.STEPDOWN.KGENTS_{name}"))
    return " ".join(names)


async def disk_full(run: Run) -> str:
    """Another stream fills the disk that JetStream may use, of one server alone, and is deleted."""
    reader = run.reader
    await attempt(reader.ask("$JS.API.STREAM.CREATE.FILL", {"name": "FILL", "subjects": ["fill"], "storage": "file"}))
    stored = 0
    for _ in range(STORE_BYTES // FILL_BYTES + 1):
        answer = await attempt(reader.store("fill", run.dice.randbytes(FILL_BYTES)))
        if answer is None or "error" in answer:
            break
        stored += 1
    await changes(run)
    await asyncio.sleep(run.dice.choice((1.0, 4.0)))
    for _ in range(10):
        if await attempt(reader.ask("$JS.API.STREAM.DELETE.FILL")) is not None:
            break
    return f"after {stored} MiB"


async def purge(run: Run) -> str:
    """Messages of one subject, or of many, are purged: of streams that allow it."""
    stream = run.dice.choice(("TOPOLOGY", "HEALTH", "ALERT"))
    found = await attempt(run.reader.last(stream))
    if not found:
        return "nothing to purge"
    run.touched.add("*")
    for subject in run.dice.sample(sorted(found), min(len(found), run.dice.choice((1, 3)))):
        await attempt(run.reader.ask(f"$JS.API.STREAM.PURGE.KGENTS_{stream}", {"filter": subject}))
    return stream


async def limit(run: Run) -> str:
    """An operator's limit drops the oldest messages of a stream, and is taken back."""
    stream = run.dice.choice(("ENTITY", "TOPOLOGY", "HEALTH"))
    info = await attempt(run.reader.info(stream))
    if info is None:
        return "no answer"
    run.touched.add("*")
    keep = max(1, info["state"]["messages"] * 2 // 3)
    config = info["config"]
    await attempt(run.reader.ask(f"$JS.API.STREAM.UPDATE.KGENTS_{stream}", config | {"max_msgs": keep}))
    for _ in range(10):
        if await attempt(run.reader.ask(f"$JS.API.STREAM.UPDATE.KGENTS_{stream}", config | {"max_msgs": -1})):
            break
    return f"{stream} to {keep} messages"


async def remake(run: Run) -> str:
    """A stream is deleted and made again."""
    stream = run.dice.choice(("ENTITY", "TOPOLOGY", "HEALTH", "ALERT", "META", "PULSE"))
    info = await attempt(run.reader.info(stream))
    if info is None:
        return "no answer"
    run.touched.add("*")
    run.has_lost_letters |= stream == "META"
    for _ in range(10):
        if await attempt(run.reader.ask(f"$JS.API.STREAM.DELETE.KGENTS_{stream}")) is not None:
            break
    await asyncio.sleep(run.dice.choice((0.0, 0.5)))

    async def is_made() -> bool:
        answer = await attempt(run.reader.ask(f"$JS.API.STREAM.CREATE.KGENTS_{stream}", info["config"]))
        return answer is not None and "error" not in answer

    await eventually(is_made, REMADE_S)
    return str(stream)


async def roll_back(run: Run) -> str:
    """The server's store is what it was some changes ago."""
    site = run.site
    run.touched.add("*")
    run.has_lost_letters = True
    copy = site.directory / f"backup-{run.counter}"
    node = site.nodes[0]
    await node.stop()
    copy_store(node, copy)
    await node.start()
    for _ in range(3):
        await changes(run)
        await asyncio.sleep(0.7)
    await site.roll_back(copy)
    return ""


async def poison(run: Run) -> str:
    """A message that no reader understands, on a subject of its own or over a message that is there."""
    signal = run.dice.choice(("entity", "topology", "pulse", "health", "event"))
    run.counter += 1
    name = f"poison-{run.counter}-{run.dice.randrange(1000)}"
    source = ".k8s" if signal in ("entity", "pulse", "event") else ""
    subject = f"kgents.{signal}.{CLUSTER}{source}.pod.shop.{name}"
    kind = run.dice.choice(("malformed", "other", "wrong type", "huge", "empty"))
    payload = {
        "malformed": f'{{"password": "{CANARY}", '.encode(),
        "other": b'{"ref":{"cluster":"test","kind":"pod","namespace":"shop","name":"another"},"source":"k8s"}',
        "wrong type": b'{"ref":7,"source":["k8s"],"status":{"a":1}}',
        "huge": b'{"ref":"' + b"x" * 900_000,
        "empty": b"",
    }[kind]
    answer = await attempt(run.reader.store(subject, payload))
    if answer is not None and "error" not in answer:
        run.poisoned[subject] = signal
    return f"{kind} on {subject}"


async def overwrite(run: Run) -> str:
    """A stranger writes over an entity, or one that is not there, without asking what it replaces."""
    pods = [each["metadata"]["name"] for each in run.site.truth.api.objects("pods")]
    name = run.dice.choice([*pods, "ghost"])
    run.touched |= {name, "main"}
    subject = f"kgents.entity.{CLUSTER}.k8s.pod.shop.{name}"
    body: Json = {
        "ref": {"cluster": CLUSTER, "kind": "pod", "namespace": "shop", "name": name},
        "source": "k8s", "uid": "stranger", "status": "failed",
    }  # fmt: skip
    await attempt(run.reader.store(subject, json.dumps(body).encode()))
    return str(name)


async def duplicate(run: Run) -> str:
    """Messages of the logs arrive again under the id that they had, and state as it is."""
    count = 0
    for stream in ("PULSE", "EVENT"):
        for each in (await attempt(run.reader.after(stream, 0)) or [])[-5:]:
            if "Nats-Msg-Id" in each.headers and not each.is_ours:
                await attempt(
                    run.reader.store(each.subject, each.payload, {"Nats-Msg-Id": each.headers["Nats-Msg-Id"]})
                )
                count += 1
    return f"{count} messages"
