"""Probes of the model providers: whose keys are there, and whether they open anything."""

import asyncio

from pointsman.config import Settings
from pointsman.domain.words import how_many
from pointsman.llm.errors import LLMError
from pointsman.llm.service import LLMService
from starter.cli.context import policy
from starter.cli.probes import Finding, fail, ok, warn
from starter.llm import governed
from starter.models import keys_of, registry_of
from starter.needs import KEY_VARIABLES, llm_settings

ANSWER_SECONDS_MAX = 30.0  # of which an SDK may take some to load


async def model_key(settings: Settings) -> Finding:
    there = _with_key(settings)
    if not there and not any(agent.model for agent in policy(settings).agents):
        return ok("none is needed: all agents of the policy work elsewhere")
    if not there:
        preferred = policy(settings).models.prefer
        first = next((KEY_VARIABLES[one] for one in preferred if one in KEY_VARIABLES), KEY_VARIABLES["openai"])
        return warn(f"no provider has a key: none of {', '.join(KEY_VARIABLES.values())} is set", f"export {first}=...")
    return ok(f"set, for {', '.join(there)}")


async def model_online(settings: Settings) -> Finding:
    """List each provider's models: costs nothing, and needs a valid key."""
    there = _with_key(settings)
    async with governed(llm_settings(settings), policy(settings).models) as service:
        answers = await asyncio.gather(*(_listed(service, provider) for provider in there))
    told = [f"{provider} {answer}" for provider, answer in zip(there, answers, strict=True)]
    if any(isinstance(answer, Exception) for answer in answers):
        return fail("; ".join(told), "pointsman llm models")
    return ok("; ".join(told))


async def _listed(service: LLMService, provider: str) -> str | Exception:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return f"lists {how_many(len(await service.list_models(provider)), 'model')}"
    except LLMError as error:
        return error
    except TimeoutError:
        return TimeoutError(f"does not answer within {ANSWER_SECONDS_MAX:.0f} s")


def _with_key(settings: Settings) -> list[str]:
    llm, rules = llm_settings(settings), policy(settings).models
    keys = keys_of(llm, rules)
    return sorted({model.provider for model in registry_of(llm, rules).models.values() if keys.has(model.provider)})
