"""What a process costs that begins to use a client: seconds from the first import on, and the memory that it holds.

    python -m bench.llm.cold facade | first-call CONTENDER URL | three-providers URL | three-sdks

Prints one JSON object. Nothing that the measured code needs is imported beforehand.
"""

import json
import sys
from collections.abc import Callable, Mapping
from time import perf_counter, process_time
from typing import Any


def facade() -> None:
    from pointsman.llm import LLMService  # this import is what is measured

    assert LLMService.__name__ == "LLMService"


def first_call(name: str, url: str) -> None:
    """Import, make the client, and get one answer."""
    import asyncio  # counts as the contender's, which needs it

    from bench.llm.contenders import contender  # as above

    async def call() -> str:
        return await contender(name)(f"{url}/d0-n0-p0/v1").call()

    assert asyncio.run(call())


def three_providers(url: str) -> None:
    """One answer each of OpenAI, Anthropic and Gemini, through one service."""
    import asyncio  # this and what follows is measured

    from pydantic import SecretStr

    from pointsman.llm import LLMRequest, LLMService, Role, text_message
    from pointsman.llm.pool import ClientPool
    from pointsman.llm.settings import LLMSettings
    from pointsman.llm.setup import factories, keys_of, rules_of

    root, key = f"{url}/d0-n0-p0", SecretStr("sk-bench-0000000000000000")
    settings = LLMSettings(
        _env_file=None,
        openai_api_key=key,
        anthropic_api_key=key,
        google_api_key=key,
        openai_base_url=f"{root}/v1",
        anthropic_base_url=root,
        google_base_url=root,
    )

    async def call() -> None:
        async with LLMService(ClientPool(keys_of(settings), factories(settings)), rules_of(settings)) as service:
            for model in ("gpt-6-luna", "claude-haiku-5-5", "gemini-3.5-flash-lite"):
                asked = LLMRequest(model=model, messages=(text_message(Role.USER, "Which track?"),), max_tokens=64)
                answer = await service.complete(asked)
                assert answer.usage.total_tokens == 204

    asyncio.run(call())


def three_sdks() -> None:
    """What of `three_providers` is the providers' own: their SDKs are imported, and nothing is done with them."""
    import anthropic  # this and what follows is measured
    import openai
    from google import genai

    assert len({openai.__name__, anthropic.__name__, genai.__name__}) == 3


def measured(what: str, *given: str) -> dict[str, Any]:
    known: Mapping[str, Callable[..., None]]
    known = {"facade": facade, "first-call": first_call, "three-providers": three_providers}
    known = {**known, "three-sdks": three_sdks}
    doing = known[what]
    cpu, begun = process_time(), perf_counter()
    doing(*given)
    seconds, cpu_seconds = perf_counter() - begun, process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "resident_mb": resident_mb()}


def resident_mb() -> float:
    """Memory that this process holds now; where the system does not tell, the most that it ever held."""
    try:
        with open("/proc/self/statm") as told:
            pages = int(told.read().split()[1])
    except OSError:
        import resource  # Unix only, and only where there is no /proc

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1 if sys.platform == "darwin" else 1 / 1024) / 1e6
    import resource  # as above

    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    print(json.dumps(measured(*sys.argv[1:])))
