"""The stand-ins on the command line: processes of their own, so that ours share nothing with them."""

import secrets
import shlex
from contextlib import AsyncExitStack
from typing import Literal

from pydantic import SecretStr

from pointsman.config import Settings, variable
from pointsman.sandbox import azure_devops
from pointsman.sandbox.models import server as models
from pointsman.sandbox.models.bedrock_converse.catalogue import REGION
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.config import ModelsConfig
from starter.cli.call import Call
from starter.cli.errors import ExitCode
from starter.cli.temporal import stopping

SECRET_BYTES = 24
Seed = Literal["demo", "large"]
ORGANISATION = "fabrikam"
PERSON_VARIABLE = "SANDBOX_PERSON_TOKEN"


async def run(call: Call, settings: Settings, part: str, port: int, seed: Seed) -> ExitCode:
    """Serve until SIGINT or SIGTERM. Prints how to reach the stand-ins: shell exports, or one document."""
    stop = stopping()
    async with AsyncExitStack() as running:
        told: dict[str, str] = {}
        if part in ("azure-devops", "all"):
            told |= await serve_azure_devops(running, settings, port, seed)
        if part in ("models", "all"):
            told |= await _models(running, settings, port + 1 if port and part == "all" else port)
        if part == "agents":
            told |= await _agents(running, port)
        if call.out.as_json:
            call.out.document({"sandbox": told})
        else:
            for name, value in told.items():
                call.out.line(f"export {name}={shlex.quote(value)}")
        call.out.flush()
        call.out.say(f"running; Ctrl-C stops it. {PERSON_VARIABLE} is the token of a person who files items.")
        await stop.wait()
    return ExitCode.OK


async def serve_azure_devops(running: AsyncExitStack, settings: Settings, port: int, seed: Seed) -> dict[str, str]:
    """Serves for as long as `running` is open; settings, and the token of a person, that lead there."""
    person, service = _secret(None), _secret(settings.azure_devops_token)
    config = azure_devops.large_config if seed == "large" else azure_devops.demo_config
    url = await running.enter_async_context(azure_devops.running(config(person, service), port=port))
    return {
        variable("azure_devops_url"): f"{url}/{ORGANISATION}",
        variable("azure_devops_token"): service.get_secret_value(),
        PERSON_VARIABLE: person.get_secret_value(),
    }


async def _models(running: AsyncExitStack, settings: Settings, port: int) -> dict[str, str]:
    key = _secret(settings.openai_api_key)
    url = await running.enter_async_context(models.running(ModelsConfig(api_keys=(key,)), port=port))
    return model_settings(url, key.get_secret_value())


async def _agents(running: AsyncExitStack, port: int) -> dict[str, str]:
    # The SDK of A2A takes a while to load.
    from pointsman.sandbox.agents.door import KEYS
    from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
    from pointsman.sandbox.agents.signing import CardKey

    token = _secret(None)
    config = AgentsConfig(token=token, pace_seconds=1.0, card_key=CardKey())
    url = await running.enter_async_context(AgentsStandIn(config).running(port))
    return {
        "SANDBOX_AGENT_URL": url,
        "SANDBOX_AGENT_KEY": token.get_secret_value(),
        "SANDBOX_AGENT_CARD_KEYS": f"{url}{KEYS}",
    }


def model_settings(url: str, key: str) -> dict[str, str]:
    """The settings that lead Pointsman, and the model service by itself, to the stand-in of every provider."""
    return {
        variable("openai_base_url"): f"{url}/v1",
        variable("openai_api_key"): key,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": f"{url}/anthropic",
        "ANTHROPIC_API_KEY": key,
        "GOOGLE_BASE_URL": f"{url}/gemini",
        "GOOGLE_API_KEY": key,
        "MISTRAL_BASE_URL": f"{url}/mistral",
        "MISTRAL_API_KEY": key,
        "BEDROCK_BASE_URL": f"{url}/bedrock",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": key,
        "AZURE_OPENAI_ENDPOINT": f"{url}/azure",
        "AZURE_OPENAI_API_KEY": key,
    }


def _secret(given: SecretStr | None) -> SecretStr:
    """The one that the settings name, so that an environment can be kept over restarts; else one of this run."""
    return given or SecretStr(secrets.token_urlsafe(SECRET_BYTES))
