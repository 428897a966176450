"""What stages of pipelines wait for: people's approvals."""

from collections.abc import Sequence

from pointsman.clients.azure_devops.answers_builds import Approval
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, whole
from pointsman.contracts.base import Json
from pointsman.ports import Rejected

APPROVALS_MAX = 1_000


class ApprovalsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def query(self, project: str, state: str = "", user_ids: Sequence[str] = ()) -> list[Approval]:
        """Approvals in a state (`pending`, `approved`, ...; empty: any), with their steps, of users or of everybody.

        Raises:
            NotWhole: there may be more than the service tells at once; nothing of the list is used.
        """
        query: dict[str, str | int | bool] = {"$expand": "steps", "top": APPROVALS_MAX}
        if state:
            query["state"] = state
        if user_ids:
            query["userIds"] = ",".join(user_ids)
        found = await whole(self._connection, Listed[Approval], _approvals(project), query)
        if len(found) >= APPROVALS_MAX:
            raise NotWhole(f"{project}: {len(found)} approvals or more; the list is cut, none is used", "ListCut")
        return found

    async def get(self, project: str, approval_id: str) -> Approval:
        path = f"{_approvals(project)}/{segment(approval_id)}"
        return await self._connection.call(Approval, "GET", path, query={"$expand": "steps"})

    async def decide(self, project: str, approval_id: str, *, approve: bool, comment: str = "") -> Approval:
        """Approve or reject in the name of the account that asks. What was decided stays so (`Conflict`)."""
        status = "approved" if approve else "rejected"
        body: Json = [{"approvalId": approval_id, "status": status, "comment": comment}]
        answered = (await self._connection.call(Listed[Approval], "PATCH", _approvals(project), body=body)).value
        found = next((one for one in answered if one.id == approval_id), None)
        if found is None:
            raise Rejected(
                f"approval {approval_id}: no answer about it; read it before trying again", "UnexpectedAnswer"
            )
        return found


def _approvals(project: str) -> str:
    return f"{segment(project)}/_apis/pipelines/approvals"
