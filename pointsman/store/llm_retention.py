"""What goes of the model service's books: attempts that are old enough, and the answers that a tenant was given.

The sums of accounts stay: what is forgotten has been spent all the same, and no budget has more left than before.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import Chain
from pointsman.domain.texts import clean
from pointsman.store import audit
from pointsman.store.columns import utc_now
from pointsman.store.engine import Store
from pointsman.store.llm_ledger import OPEN
from pointsman.store.tables import metadata

KEPT_MIN = timedelta(days=90)
FORGOTTEN_AT_ONCE_MAX = 1_000
"""So many rows go in a transaction: calls that reserve wait for no longer one."""
DEFAULT_TENANT = "default"
_LEDGER, _ANSWER = metadata.tables["llm_ledger"], metadata.tables["llm_answer"]


class LlmRetention:
    """To be asked again and again: what is gone already counts as nothing. Each transaction that takes something
    writes an event of the audit log, with how much and by whom."""

    def __init__(self, store: Store, actor: str, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._actor = actor
        self._now = now

    async def forget_attempts(self, days: int) -> int:
        """Delete rows of the ledger that are older; returns how many. Reservations that are open stay.

        Raises:
            ValueError: fewer days than `KEPT_MIN`.
        """
        kept = timedelta(days=days)
        if kept < KEPT_MIN:
            raise ValueError(
                f"the ledger of model calls is kept for at least {KEPT_MIN.days} days, not for {days}. "
                "Nothing was deleted."
            )
        before, gone = self._now() - kept, 0
        while some := await self._store.write(lambda session: self._some_attempts(session, before)):
            gone += some
        return gone

    async def forget_answers(self, tenant: str) -> int:
        """Delete all that is kept of answers to the tenant; returns how many there were."""
        return await self._store.write(lambda session: self._answers(session, clean(tenant)))

    async def answers(self, tenant: str) -> int:
        """How many are kept."""
        query = select(func.count()).select_from(_ANSWER).where(_ANSWER.c.tenant == clean(tenant))
        return await self._store.read(lambda session: session.scalar(query) or 0)

    def _some_attempts(self, session: Session, before: datetime) -> int:
        old = select(_LEDGER.c.id).where(_LEDGER.c.at < before, _LEDGER.c.state != OPEN).order_by(_LEDGER.c.id)
        some = old.limit(FORGOTTEN_AT_ONCE_MAX).with_for_update(skip_locked=True)
        gone = session.scalars(delete(_LEDGER).where(_LEDGER.c.id.in_(some)).returning(_LEDGER.c.id)).all()
        self._tell(session, DEFAULT_TENANT, {"attempts": len(gone), "before": before.isoformat()}, len(gone))
        return len(gone)

    def _answers(self, session: Session, tenant: str) -> int:
        gone = session.scalars(delete(_ANSWER).where(_ANSWER.c.tenant == tenant).returning(_ANSWER.c.key)).all()
        self._tell(session, tenant or DEFAULT_TENANT, {"answers": len(gone)}, len(gone))
        return len(gone)

    def _tell(self, session: Session, tenant: str, data: dict[str, Json], gone: int) -> None:
        if gone:
            chain = Chain(tenant=tenant, correlation_id="")
            audit.add(session, audit.event_of(Action.MODEL_BOOKS_FORGOTTEN, self._actor, chain, data))
