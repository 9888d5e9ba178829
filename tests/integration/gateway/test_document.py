"""The OpenAPI document and the gateway agree, as a program finds that reads the document and knows nothing else."""

import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from kgents_gateway.config import LimitsConfig
from kgents_gateway.decisions import DECISIONS
from kgents_gateway.http.routes import QUESTIONS
from kgents_shared.bus.client import Bus
from support.decisions import make_silence, stored
from support.gateway import serving
from support.incidents import make_incident
from support.process import spawn_async
from support.state import make_alert, make_event, make_health, make_topology, publish
from support.waiting import MACHINE, within

CONFIG: Final = Path(__file__).parents[2] / "data/gateway/schemathesis.toml"
OPTIONS: Final = (
    "--max-examples",
    "6",
    "--generation-deterministic",
    "--phases",
    "examples,coverage,fuzzing",
    "--no-color",
)
NO_LIMITS: Final = LimitsConfig(requests_per_s=1_000_000, burst=1_000_000)


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("cart"), make_health("cart"), make_alert("cart"), make_event(number=1))
    await stored(bus, make_incident(), make_silence("quiet"))
    async with serving(bus, limits=NO_LIMITS) as gateway:
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
        command += [f"{gateway.server.address}/api/openapi.json", *OPTIONS, "--exclude-path-regex", "stream"]
        command += ["--request-timeout", str(MACHINE.limit_s(10))]
        found = await spawn_async(*command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
        async with within(60):
            out, _ = await found.communicate()
    text = out.decode()
    assert found.returncode == 0, text[-8_000:]
    assert f"Tested: {len(QUESTIONS) + len(DECISIONS) + 1}" in text, "all but the streams, which have no end"


async def test_an_empty_list_is_answered_as_the_document_says(bus: Bus) -> None:
    async with serving(bus, limits=NO_LIMITS) as gateway:
        document = (await gateway.client.get("/api/openapi.json")).json()
        tried = set[str]()
        for path, operations in document["paths"].items():
            parameters: list[dict[str, Any]] = operations.get("get", {}).get("parameters", [])
            is_complete = not any(each["required"] for each in parameters)
            for parameter in parameters:
                if parameter["schema"].get("type") != "array" or not is_complete or "stream" in path:
                    continue
                allowed = is_allowed([""], parameter["schema"], document)
                status = (await gateway.client.get(path, params={parameter["name"]: ""})).status_code
                assert (status == 200) is allowed, (path, parameter["name"], status)
                tried.add(parameter["name"])
    assert tried >= {"levels", "kinds", "namespaces", "states"}


def is_allowed(value: object, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(value, {**schema, "components": document["components"]})
    except jsonschema.ValidationError:
        return False
    return True
