"""Alerts reach Slack and PagerDuty: the real Alertmanager, our configuration, and a receiver on loopback."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.deploy import watchers
from tests.deploy.compose import ROOT

CONFIG = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
PATIENCE_SECONDS = 60.0
KEY = "routing-key-of-a-service"
LISTENS = re.compile(rb"Listening on\"? address=([\d.]+:\d+)")


@dataclass
class Hooks:
    """Slack and PagerDuty, as far as they take alerts: what came, by path."""

    url: str = ""
    got: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.got.setdefault(request.path, []).append(await request.json())
        self.changed.set()
        if request.path.startswith("/slack"):
            return web.Response(text="ok")
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": "k"}, status=202)


@asynccontextmanager
async def hooks() -> AsyncGenerator[Hooks]:
    taken = Hooks()
    app = web.Application()
    app.router.add_post("/{rest:.*}", taken.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    taken.url = f"http://{host}:{port}"
    try:
        yield taken
    finally:
        await runner.cleanup()


def configured(folder: Path, url: str) -> Path:
    """Our configuration with files of secrets of this test, PagerDuty elsewhere, and no wait for more alerts."""
    text = CONFIG.read_text(encoding="utf-8").replace("/etc/alertmanager/secrets", str(folder))
    config = yaml.safe_load(text)
    config["global"]["pagerduty_url"] = f"{url}/pagerduty"
    config["route"]["group_wait"] = "10ms"
    (folder / "slack_api_url").write_text(f"{url}/slack/T1/B2/secret\n")
    (folder / "pagerduty_routing_key").write_text(f"{KEY}\n")
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@asynccontextmanager
async def alertmanager(folder: Path, config: Path) -> AsyncGenerator[str]:
    """The program, by itself on a free port of loopback."""
    process = await asyncio.create_subprocess_exec(
        watchers.program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            address = await _listening(process)
        drain = asyncio.create_task(_drained(process))
        yield f"http://{address}"
        drain.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(process: Process) -> str:
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        said += line
        if found := LISTENS.search(line):
            return found[1].decode()
    raise AssertionError(f"Alertmanager ended:\n{said.decode()}")


async def _drained(process: Process) -> None:
    assert process.stderr is not None
    async for _ in process.stderr:
        pass


async def arrived(taken: Hooks, path: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while path not in taken.got:
            taken.changed.clear()
            await taken.changed.wait()
    return taken.got[path][0]


def test_amtool_takes_the_configuration_and_routes_by_severity() -> None:
    assert "2 receivers" in watchers.run("amtool", "check-config", CONFIG)
    for severity, told in (("critical", "pagerduty,slack"), ("warning", "slack")):
        routed = watchers.run("amtool", "config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}")
        assert routed.strip() == told


def test_no_secret_stands_in_the_configuration() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    assert re.findall(r"^\s*-?\s*(api_url|routing_key|service_key|url):", text, re.MULTILINE) == []
    for name in ("slack_api_url", "pagerduty_routing_key"):
        assert f"_file: /etc/alertmanager/secrets/{name}\n" in text


async def test_a_critical_alert_reaches_slack_and_pagerduty(tmp_path: Path) -> None:
    (rule,) = [rule for rule in watchers.rules() if rule.get("alert") == "LLMGovernanceViolations"]
    labels, annotations = dict(rule["labels"]), dict(rule["annotations"])
    annotations["summary"] = annotations["summary"].replace("{{ $value }}", "11")
    alert = {"labels": {"alertname": rule["alert"], **labels}, "annotations": annotations}
    async with hooks() as taken:
        config = configured(tmp_path, taken.url)
        async with alertmanager(tmp_path, config) as url, aiohttp.ClientSession() as http:
            async with http.post(f"{url}/api/v2/alerts", json=[alert]) as answer:
                assert answer.status == 200, await answer.text()
            slack = await arrived(taken, "/slack/T1/B2/secret")
            page = await arrived(taken, "/pagerduty")
    assert {path: len(told) for path, told in taken.got.items()} == {"/slack/T1/B2/secret": 1, "/pagerduty": 1}
    assert slack["channel"] == "#pointsman"
    (told,) = slack["attachments"]
    assert told["title"] == "[FIRING] LLMGovernanceViolations"
    assert "11 attempts within an hour" in told["text"]
    assert "See docs/llm/governance.md" in told["text"]
    assert (page["routing_key"], page["event_action"]) == (KEY, "trigger")
    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["summary"].startswith("LLMGovernanceViolations: 11 attempts")
    assert KEY not in json.dumps(slack)
