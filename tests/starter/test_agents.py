"""Agents elsewhere, as a process that starts sees them: their credentials, what loads them, and what doctor says."""

import ast
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.config import Misconfigured, Settings
from pointsman.contracts.policy import AgentPolicy, AgentService, Policy
from pointsman.sandbox.agents.door import KEYS
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from pointsman.sandbox.agents.signing import CardKey
from starter.agents import LateAgents, service_keys, service_secrets
from starter.cli import probes_agents
from starter.cli.probes import Status
from tests.gates import sources

MAY_LOAD = re.compile(r"pointsman/(clients/agents\w*|sandbox/agents/\w+)\.py$")
SPEAKS = {
    *(f"pointsman.clients.agents{one}" for one in ("", "_guard", "_keys")),
    *(f"pointsman.sandbox.agents.{one}" for one in ("server", "signing")),
}


def policy(key: str = "AGENT_KEY_OF_TEST") -> Policy:
    service = AgentService(url="https://agents.example", key=key)
    return Policy(version="test", agents=(AgentPolicy(name="contracts", service=service),))


def test_credential_that_policy_names_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="AGENT_KEY_OF_TEST is not set, nor AGENT_KEY_OF_TEST_FILE"):
        service_keys(policy())
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("AGENT_KEY_OF_TEST_FILE", str(tmp_path / "key"))
    service_keys(policy())
    assert service_secrets(policy()) == [SecretStr("from-a-file")], "logs mask it"
    service_keys(policy(key=""))


def test_only_who_speaks_to_agents_elsewhere_loads_their_sdk() -> None:
    loaded_at_start = {
        f"{source.path}: {name}"
        for source in sources.read(sources.ROOT, sources.PRODUCT)
        if not MAY_LOAD.search(str(source.path))
        for node in source.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name, _ in sources.imported(node)
        if name.partition(".")[0] == "a2a" or name in SPEAKS
    }
    assert loaded_at_start == set()


async def test_nothing_is_loaded_to_close_what_was_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pointsman.clients.agents", None)
    await LateAgents().aclose()


@asynccontextmanager
async def asked(folder: Path, skill: str) -> AsyncGenerator[Settings]:
    """Settings whose policy names a stand-in."""
    token = SecretStr("a-token")
    async with AgentsStandIn(AgentsConfig(token=token, card_key=CardKey())).running() as url:
        service = f"{{url: '{url}', key: AGENT_KEY_OF_TEST, skills: [{skill}], signed_by: '{url}{KEYS}'}}"
        (folder / "policy.yaml").write_text(f"routes: []\nagents: [{{name: contracts, service: {service}}}]\n")
        yield Settings(policy_dir=folder)


async def test_doctor_tells_which_agents_elsewhere_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGENT_KEY_OF_TEST", "a-token")
    async with asked(tmp_path, "triage") as settings:
        assert (await probes_agents.agent_keys(settings)).what == "set: AGENT_KEY_OF_TEST"
        finding = await probes_agents.agent_services(settings)
    assert finding.status is Status.OK
    assert "contracts: Sandbox agent 1 speaks A2A 1.0, can triage, its card is signed as policy wants" in finding.what
    gone = await probes_agents.agent_services(settings)
    assert (gone.status, gone.fix) == (Status.FAIL, "pointsman policy show")


async def test_doctor_tells_which_agent_elsewhere_lacks_a_skill(tmp_path: Path) -> None:
    async with asked(tmp_path, "deploy") as settings:
        unset = await probes_agents.agent_keys(settings)
        assert (unset.status, "AGENT_KEY_OF_TEST is not set" in unset.what) == (Status.FAIL, True)


async def test_doctor_has_nothing_to_ask_where_all_agents_work_here() -> None:
    finding = await probes_agents.agent_services(Settings())
    assert finding.what == "no agent of the policy is a service elsewhere"
    assert (await probes_agents.agent_keys(Settings())).status is Status.OK
