"""The stand-in as a process of its own, and its control API's manners."""

import asyncio
import signal
import sys

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.sandbox.azure_devops import demo_config
from pointsman.sandbox.azure_devops.config import SandboxConfig
from tests.sandbox.azure import Azure, azure_devops

PROGRAM = """
from pydantic import SecretStr
from pointsman.sandbox.azure_devops import demo_config, serve
serve(demo_config(SecretStr("person"), SecretStr("service")), announce=lambda url: print(url, flush=True))
"""


async def test_process_announces_itself_serves_and_ends_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with AzureDevOps(f"{url}/fabrikam", SecretStr("service")) as client:
        assert (await client.connection_data()).authenticated_user.unique_name == "pointsman@fabrikam.example"
        assert (await client.work_items.get(1)).fields["System.State"] == "Closed"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("path", "body"),
    [("faults", [{"colour": "red"}]), ("faults", {"status": 500}), ("deliveries", {"hold": "all"})],
)
async def test_control_refuses_words_that_it_does_not_know(path: str, body: object) -> None:
    async with azure_devops() as azure:
        response = await azure.http.post(f"{azure.url}/_sandbox/{path}", json=body)
    assert response.status_code == 422


async def test_fault_fits_method_and_part_of_the_path_for_as_often_as_asked() -> None:
    async with azure_devops() as azure:
        await azure.make()
        await azure.fail(method="GET", path="/WORKITEMS/1", status=503, times=2)
        assert await statuses(azure, "workitems/1", "workitems/1/updates", "projects", "workitems/1") == [
            503,
            503,
            401,
            401,
        ]
        assert (await azure.control("GET", "counters"))["faults_pending"] == 0


async def statuses(azure: Azure, *paths: str) -> list[int]:
    """Of GETs without credentials."""
    urls = [f"{azure.base_url}/_apis/{'' if path == 'projects' else 'wit/'}{path}" for path in paths]
    return [(await azure.http.get(url)).status_code for url in urls]


def test_configuration_shows_no_token_and_can_be_read_from_json() -> None:
    made = demo_config(SecretStr("hush-person"), SecretStr("hush-service"))
    assert "hush" not in f"{made!r} {made.model_dump_json()}"
    text = '{"organisations": [{"name": "a", "projects": [{"name": "b"}]}], "accounts": []}'
    assert SandboxConfig.model_validate_json(text).organisations[0].project("B") is not None
