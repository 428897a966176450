"""The stand-ins as a process for long runs: `python -m bench.faults.sandbox --port P --time-scale S`.

As `pointsman sandbox all --json`, with two differences: the waits between delivery attempts are shortened, and
`/_faults/waiting` tells how close a delivery is to being given up, which is where the real service loses events.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
from contextlib import AsyncExitStack

from fastapi import FastAPI
from pydantic import SecretStr

from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import demo_config
from pointsman.sandbox.azure_devops.sandbox import Sandbox
from pointsman.sandbox.models import server as models
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.serving import hosting

TOKEN_VARIABLE = "POINTSMAN_AZURE_DEVOPS_TOKEN"  # noqa: S105 - the name of a variable
KEY_VARIABLE = "POINTSMAN_OPENAI_API_KEY"
PERSON_VARIABLE = "SANDBOX_PERSON_TOKEN"


def create(person: SecretStr, service: SecretStr, time_scale: float) -> FastAPI:
    """Azure DevOps, with a look at what waits for another delivery attempt."""
    app = create_app(demo_config(person, service, time_scale))
    sandbox: Sandbox = app.state.sandbox

    @app.get("/_faults/waiting")
    async def waiting() -> dict[str, int]:
        """On the loop, where nothing changes the history meanwhile: a plain function would run in a thread."""
        kept = sandbox.deliverer.history.kept.values()
        attempts = [one.attempts for held in kept for one in held if one.result == "pending"]
        return {"waiting": len(attempts), "attempts_max": max(attempts, default=0)}

    return app


async def serve(port: int, time_scale: float) -> None:
    """Azure DevOps on `port`, the model provider on the next one, until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    person = SecretStr(secrets.token_urlsafe(24))
    app = create(person, SecretStr(os.environ[TOKEN_VARIABLE]), time_scale)
    config = ModelsConfig(api_keys=(SecretStr(os.environ[KEY_VARIABLE]),))
    async with AsyncExitStack() as running:
        await running.enter_async_context(hosting(app, port=port))
        await running.enter_async_context(models.running(config, port=port + 1))
        print(json.dumps({"sandbox": {PERSON_VARIABLE: person.get_secret_value()}}), flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.faults.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--time-scale", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.time_scale))


if __name__ == "__main__":
    main()
