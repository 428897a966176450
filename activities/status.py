"""One comment on the item that says where the work on it stands, edited in place, and under it what was done before."""

import re
from collections.abc import Sequence
from html import escape

from temporalio import activity

from activities.outside import beating, caller, chain, outside
from activities.sync import rows_of
from pointsman.contracts.lifecycle import TellStatus
from pointsman.contracts.records import WriteIntent, WriteRecord
from pointsman.contracts.tracker import CommentTold
from pointsman.domain.sync.recognising import BY, COMMENT, HISTORY, mark_of, marked
from pointsman.ports import Ledger, Missing, Rejected, WorkTracker
from pointsman.ports_sync import Agreements, Commenter, Quarantines

ENTRIES_MAX = 20
"""Of the work log: what is older is in the timeline, and a comment stays readable."""
SAYS = re.compile(r"<p><em>(?:Pointsman: )?(.*?)</em></p>", re.DOTALL)
STATUS = "/status."
"""In the operations of what is said here."""


class StatusComments:
    """`worker.py` hands in client and books."""

    def __init__(
        self,
        tracker: WorkTracker,
        comments: Commenter,
        ledger: Ledger,
        agreements: Agreements,
        quarantines: Quarantines,
    ) -> None:
        self._tracker = tracker
        self._comments = comments
        self._ledger = ledger
        self._agreements = agreements
        self._quarantines = quarantines

    @activity.defn(name="status.tell")
    async def tell(self, ask: TellStatus) -> int:
        """Say it, and return the comment's id; 0 where nothing is said, because the item is in quarantine.

        Safe to repeat. A comment whose answer was lost is found again by its mark, and one that people took away is
        written anew. Comments know no revision to test, so where the service takes marks out of texts and an answer
        is lost at the very first, the item gets a second one.
        """
        with outside(f"status of {ask.key}"):
            async with beating():
                return await self._tell(ask)

    async def _tell(self, ask: TellStatus) -> int:
        agreed = await self._agreements.get(ask.key)
        if await self._quarantines.get(ask.key) is not None:
            return 0
        known = agreed.status_comment if agreed else 0
        writes = await self._ledger.writes(ask.key)
        if any(row.status == "written" for row in rows_of(writes, ask.operation)):
            return known
        html = marked(f"<p><em>{escape(ask.text)}</em></p>{_work_log(writes, ask.operation)}", ask.operation)
        known = known or await self._lost(ask, writes)
        account = await self._tracker.identity(ask.key.organisation)
        intent = WriteIntent(
            operation=ask.operation,
            chain=chain(ask.tenant, ask.correlation_id, ask.key),
            base_rev=agreed.rev if agreed else 0,
            values={HISTORY: html, COMMENT: known, BY: account},
        )
        await self._ledger.intend(intent, caller())
        try:
            said = await self._said(ask, known, html)
        except Rejected:
            await self._ledger.settle(ask.operation, "abandoned", 0, caller())
            raise
        await self._agreements.own_comment(intent.chain, said.id, is_status=True)
        await self._agreements.advance(intent.chain, 0, {}, comments={said.id: said.version})
        await self._ledger.settle(ask.operation, "written", 0, caller(), f"comment {said.id}, version {said.version}")
        return said.id

    async def _said(self, ask: TellStatus, known: int, html: str) -> CommentTold:
        if known:
            try:
                return await self._comments.edit(ask.key, known, html)
            except Missing:
                activity.logger.info("the status comment was taken away", extra={"comment": known})
        return await self._comments.add(ask.key, html)

    async def _lost(self, ask: TellStatus, writes: Sequence[WriteRecord]) -> int:
        """The comment that was said before, by this operation or an earlier one, and whose answer was lost; else 0. A
        comparison may have settled it since."""
        said = {row.operation for row in writes if STATUS in row.operation}
        comments = await self._comments.all(ask.key) if said else ()
        found = next((one for one in comments if mark_of(one.text) in said), None)
        if found is None:
            return 0
        await self._ledger.settle(mark_of(found.text), "written", 0, caller(), f"comment {found.id}")
        return found.id


def _work_log(writes: Sequence[WriteRecord], now: str) -> str:
    """What the comment said before, oldest first, as HTML; empty where this is the first that is said."""
    said = [(one.intended_at, SAYS.match(str(one.values.get(HISTORY) or ""))) for one in writes if _is_before(one, now)]
    lines = [f"<li>{at:%Y-%m-%d %H:%M} UTC: {found[1]}</li>" for at, found in said if found][-ENTRIES_MAX:]
    return f"<p>Work log:</p><ul>{''.join(lines)}</ul>" if lines else ""


def _is_before(write: WriteRecord, now: str) -> bool:
    return STATUS in write.operation and write.operation != now and write.status != "abandoned"
