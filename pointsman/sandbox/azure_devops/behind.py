"""The state behind the routes. Routes are the same for every stand-in of a process: they are made once, which takes
FastAPI a third of what a test of one request costs."""

from typing import Annotated

from fastapi import Depends, Request

from pointsman.sandbox.azure_devops.sandbox import Sandbox


async def sandbox_of(request: Request) -> Sandbox:
    sandbox = request.app.state.sandbox
    assert isinstance(sandbox, Sandbox)
    return sandbox


Behind = Annotated[Sandbox, Depends(sandbox_of)]
