"""A real OpenID provider on this machine, and the browser of a person who logs in there."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx
from joserfc.jwk import RSAKey

from kgents_gateway.config import OidcConfig
from kgents_shared.bus.config import Secret
from support.ports import free_port
from support.process import OwnProcess, spawn, until_ready
from support.programs import home_of, need

SCRIPT: Final = Path(__file__).with_name("oidc_provider.mjs")
CLIENT: Final = "kgents"
SECRET: Final = "a secret: with %, & and +"


def new_keys(name: str) -> list[dict[str, Any]]:
    """Keys that a provider signs with."""
    return [RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}, private=True).as_dict(private=True)]


class OidcProvider(OwnProcess):
    """`async with OidcProvider(folder, people) as provider`; a person logs in with their name alone."""

    def __init__(self, folder: Path, people: Mapping[str, Sequence[str]], *, is_in_token: bool = True) -> None:
        """`people`: name → groups; `is_in_token`: the ID token names them, and not only the answer about the user."""
        self.issuer = f"http://127.0.0.1:{free_port()}"
        self.keys = new_keys("first")
        self._folder = folder
        self._people = people
        self._is_in_token = is_in_token
        self._redirect_uri = ""

    async def start(self, redirect_uri: str) -> None:
        """Start, or start again with the keys as they are now."""
        self.kill()
        node, home = need("node"), home_of("oidc-provider")
        need("oidc-provider")
        client = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [redirect_uri]}
        given = {
            "client": client,
            "jwks": {"keys": self.keys},
            "people": self._people,
            "inToken": self._is_in_token,
        }
        log = self._folder / "provider.log"
        with log.open("w") as out:
            command = [str(node), str(SCRIPT), str(home), self.issuer, json.dumps(given)]
            self._process = spawn(command, stdout=out, stderr=out)
        await until_ready(self._process, lambda: "ready" in log.read_text(), log)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def config(self, **more: Any) -> OidcConfig:
        given: dict[str, Any] = {"scopes": ["openid", "groups"], **more}
        return OidcConfig(issuer=self.issuer, client_id=CLIENT, client_secret=Secret(SECRET), **given)


async def logged_in(browser: httpx.AsyncClient, start: httpx.Response, person: str) -> str:
    """Follow a redirect to the provider, log in there and agree; returns where it sends the browser back to."""
    origin = start.headers["location"]
    answer = await browser.get(origin)
    for _ in range(10):
        if answer.is_redirect:
            target = answer.url.join(answer.headers["location"])
            if target.host != answer.url.host or target.port != answer.url.port:
                return str(target)
            answer = await browser.get(target)
            continue
        action = re.search(r'action="([^"]+)"', answer.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
        assert action, answer.text
        assert prompt, answer.text
        data = {"prompt": prompt[1], "login": person, "password": "any"}
        answer = await browser.post(answer.url.join(html.unescape(action[1])), data=data)
    raise AssertionError("the provider did not send the browser back")


async def come_back(browser: httpx.AsyncClient, person: str) -> str:
    """Where the provider sends a browser after a login that it began at the gateway."""
    start = await browser.get("/login/provider", headers={"sec-fetch-site": "same-origin"})
    assert start.status_code == 303, start.text
    return await logged_in(browser, start, person)


async def log_in(browser: httpx.AsyncClient, person: str) -> httpx.Response:
    """Log in at the gateway; its cookie is the browser's from then on."""
    back = await come_back(browser, person)
    return await browser.get(back, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
