"""A model call counts as ended only when its reply is kept: else a repeated call would have no reason in the books."""

import pytest
from temporalio.testing import ActivityEnvironment

from activities.turns import Turns
from pointsman.contracts.records import AttemptKind, Chain, StoredMessage
from pointsman.contracts.turns import Think, TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.llm.types import Role, text_message
from tests.books import MemoryAttempts, MemoryContents, MemoryTranscripts
from tests.workflows.rig import policy
from tests.worlds import FakeModel, FakeToolbox, says, served

KEY = WorkItemKey(organisation="fabrikam", project="Fabrikam", id=6)
CHAIN = Chain(tenant="default", correlation_id="c", key=KEY)


class Dies(Exception):
    """The process ends here."""


class DyingTranscripts(MemoryTranscripts):
    """The process dies when it is about to keep a reply."""

    async def append(self, transcript: str, chain: Chain, slot: str, role: str, body: bytes) -> StoredMessage:
        if slot.endswith("/reply"):
            raise Dies(slot)
        return await super().append(transcript, chain, slot, role, body)


async def test_attempt_whose_reply_was_not_kept_stays_in_doubt() -> None:
    transcripts, attempts = DyingTranscripts(), MemoryAttempts()
    await transcripts.append("t", CHAIN, "open/item", Role.USER, text_message(Role.USER, "a bug").to_bytes())
    turns = Turns(served(FakeModel(says("fine"))), FakeToolbox(), transcripts, MemoryContents(), attempts)
    request = TurnRequest(
        key=KEY,
        tenant="default",
        correlation_id="c",
        number=1,
        transcript="t",
        agent=policy().agents[0],
        facts=Facts(key=KEY, type="Bug", title="Login fails"),
    )
    with pytest.raises(Dies):
        await ActivityEnvironment().run(turns.think, Think(request=request, step=1))
    assert [(one.kind, one.outcome) for one in attempts.kept.values()] == [(AttemptKind.MODEL, "")]
