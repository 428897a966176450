"""What activities need of remote agent services, as a protocol; see `pointsman.ports` for errors and for the rest."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pointsman.contracts.agents import RemoteCard, RemoteMessage, RemoteState, RemoteTask
from pointsman.contracts.policy import AgentService
from pointsman.ports import Unavailable


class NotHeard(Unavailable):
    """The service could not be reached at all, or said that it took nothing: it has surely not heard us."""


class AgentServices(Protocol):
    """Agents elsewhere. Each call has the time limit of its policy, and goes to hosts that policy names only.

    Every method may raise `Unavailable`, `Rejected`, and `Missing` where there is no such task.
    """

    async def card(self, service: AgentService) -> RemoteCard:
        """Raises `Rejected` where the card is none that policy accepts."""

    async def send(self, service: AgentService, message: RemoteMessage) -> RemoteTask:
        """Returns as soon as the service has taken it. Not idempotent: look into `find` or `get` first."""

    async def find(self, service: AgentService, context: str) -> Sequence[RemoteTask]:
        """All tasks of the context, with the messages that they got. Raises `Rejected` where it cannot list them."""

    async def get(self, service: AgentService, task: str, *, whole: bool = False) -> RemoteTask:
        """The task as it is; with its messages if `whole`."""

    async def listen(self, service: AgentService, task: str, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the service says that something happened to the task, until its stream ends. What it was
        is for `get` to say: a stream may leave things out. Raises `Rejected` where the service offers none."""

    async def cancel(self, service: AgentService, task: str) -> RemoteState:
        """What the task is then: a service may go on nevertheless. Idempotent; one that it no longer knows counts as
        canceled."""
