"""The stand-in for Azure DevOps, a receiver that looks at passwords, and command lines that speak to both."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from pointsman.contracts.base import Json
from pointsman.sandbox.serving import hosting
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops
from tests.starter.cli_rig import Answer, Rig

OLD, NEW = "the-old-secret-of-16", "the-new-secret-of-16"
PATH = "/webhooks/azure-devops"


@dataclass
class Gatekeeper:
    """Takes deliveries with one of the passwords, and refuses any other. `taken` are the passwords that came."""

    accepted: set[str] = field(default_factory=lambda: {OLD})
    url: str = ""
    taken: list[str] = field(default_factory=list)
    status: int = 202

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body", False):
            pass
        told = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Basic ")
        password = b64decode(told).decode().partition(":")[2]
        known = password in self.accepted and scope["path"] == PATH
        if known:
            self.taken.append(password)
        await send({"type": "http.response.start", "status": self.status if known else 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class HooksRig:
    azure: Azure
    gate: Gatekeeper
    cli: Rig
    environment: pytest.MonkeyPatch

    async def run(self, *words: str) -> Answer:
        """A command line, in a thread of its own: this one serves what it calls."""
        answer = await asyncio.to_thread(self.cli.run, "hooks", *words)
        assert OLD not in answer.out + answer.err
        assert NEW not in answer.out + answer.err
        return answer

    def secrets(self, *secrets: str) -> None:
        self.environment.setenv("POINTSMAN_WEBHOOK_SECRETS", ",".join(secrets))

    def policy(self, text: str) -> None:
        folder = self.cli.folder / "policy"
        folder.mkdir(exist_ok=True)
        (folder / "policy.yaml").write_text(text, encoding="utf-8")
        self.environment.setenv("POINTSMAN_POLICY_DIR", str(folder))

    async def there(self) -> list[tuple[str, str]]:
        """(event, status) of all subscriptions, sorted."""
        dump = (await self.azure.control("GET", "deliveries"))["subscriptions"]
        assert isinstance(dump, list)
        return sorted((str(_of(one, "event_type")), str(_of(one, "status"))) for one in dump)

    async def passwords(self) -> list[str]:
        """What deliveries come with now: one of each event of an item's life."""
        self.gate.taken.clear()
        made = await self.azure.make()
        await self.azure.person.work_items.delete(made.id)
        await self.azure.person.work_items.restore(made.id)
        await self.azure.control("POST", "clock", {"seconds": 0})
        return self.gate.taken


def _of(value: Json, name: str) -> Json:
    assert isinstance(value, dict)
    return value[name]


@asynccontextmanager
async def hooks_rig(cli: Rig, environment: pytest.MonkeyPatch) -> AsyncGenerator[HooksRig]:
    gate = Gatekeeper()
    async with azure_devops() as azure, hosting(gate) as url:
        gate.url = f"{url}{PATH}"
        settings = {
            "PUBLIC_URL": url,
            "AZURE_DEVOPS_URL": azure.base_url,
            "AZURE_DEVOPS_TOKEN": SERVICE_TOKEN,
            "WEBHOOK_SECRETS": OLD,
        }
        for name, value in settings.items():
            environment.setenv(f"POINTSMAN_{name}", value)
        yield HooksRig(azure, gate, cli, environment)


def command_line(folder: Path, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch) -> Rig:
    """Command lines without a database: hooks need none."""
    folder.mkdir()
    for name, value in {
        "POINTSMAN_DATA_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
    }.items():
        environment.setenv(name, value)
    for name in ("POINTSMAN_CONFIG_FILE", "POINTSMAN_POLICY_DIR"):
        environment.delenv(name, raising=False)
    return Rig(folder, capsys)
