"""The part of the control API that lets what people and machines do elsewhere happen: builds end, stages ask."""

from uuid import uuid4

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, JsonValue

from pointsman.sandbox.azure_devops import build_edits
from pointsman.sandbox.azure_devops.behind import Behind
from pointsman.sandbox.azure_devops.build_state import Approval
from pointsman.sandbox.azure_devops.config import Organisation
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.rendering import Links
from pointsman.sandbox.azure_devops.sandbox import Sandbox

BASE = ""  # URLs in what is delivered are relative: nobody called for them through a host


class Finish(BaseModel):
    """Let a build be done, as an agent would."""

    model_config = ConfigDict(extra="forbid")

    organisation: str
    build_id: int
    result: str = "succeeded"


class Ask(BaseModel):
    """Let a stage wait for approvals."""

    model_config = ConfigDict(extra="forbid")

    organisation: str
    project: str
    approvers: list[str]
    """Unique names."""
    needed: int = 1
    instructions: str = ""
    build_id: int = 0


router = APIRouter(prefix="/_sandbox")


@router.post("/builds/finish")
async def finish(sandbox: Behind, wanted: Finish) -> dict[str, JsonValue]:
    world = sandbox.world
    organisation = _organisation(sandbox, wanted.organisation)
    build = world.code.builds.builds_of(organisation).get(wanted.build_id)
    if build is None:
        raise HTTPException(404, f"no build {wanted.build_id} in {wanted.organisation}")
    try:
        build_edits.finish(world, build, wanted.result)
    except ServiceError as error:
        raise HTTPException(409, str(error)) from error
    links = Links(BASE, organisation)
    sandbox.deliverer.publish([build_edits.completed(world, build, links)], links)
    return {"id": build.id, "result": build.result}


@router.post("/approvals")
async def ask(sandbox: Behind, wanted: Ask) -> dict[str, JsonValue]:
    world = sandbox.world
    organisation = _organisation(sandbox, wanted.organisation)
    project, people = organisation.project(wanted.project), [world.find_identity(one) for one in wanted.approvers]
    known = tuple(one for one in people if one is not None)
    if project is None or len(known) != len(wanted.approvers) or not known:
        raise HTTPException(404, f"no such project or people: {wanted.project}, {wanted.approvers}")
    now, approval_id = world.clock.now(), str(uuid4())
    made = Approval(
        approval_id, organisation, project.name, known, wanted.needed, wanted.instructions, now, wanted.build_id
    )
    world.code.builds.approvals_of(organisation)[made.id] = made
    return {"id": made.id}


def _organisation(sandbox: Sandbox, name: str) -> Organisation:
    found = sandbox.world.organisation(name)
    if found is None:
        raise HTTPException(404, f"no organisation {name}")
    return found
