"""Whole answers of models in the store, for all processes, each for its life. Off unless somebody hands it in.

An answer is kept under the hash of what was asked, which binds the tenant: nobody learns from another's answers.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import Connection, delete, select

from pointsman.domain.texts import clean
from pointsman.llm.response_cache import LIFE
from pointsman.llm.types import LLMResponse
from pointsman.ports import Unavailable
from pointsman.store.columns import utc_now
from pointsman.store.engine import Store
from pointsman.store.inserts import Insert
from pointsman.store.tables import metadata

LOG = logging.getLogger(__name__)
ENDED_AT_ONCE_MAX = 100

_ANSWER = metadata.tables["llm_answer"]
_answers = Insert(
    _ANSWER,
    ("key", "tenant", "at", "expires_at", "body"),
    then="ON CONFLICT (key) DO UPDATE SET at = excluded.at, expires_at = excluded.expires_at, body = excluded.body",
)


class _Kept(NamedTuple):
    key: str
    tenant: str
    at: datetime
    expires_at: datetime
    body: str


class StoreResponseCache:
    """`llm.response_cache.ResponseCache` over the store. A cache fails no call: what goes wrong is logged."""

    def __init__(self, store: Store, life: timedelta = LIFE, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._life = life
        self._now = now

    async def get(self, key: str) -> LLMResponse | None:
        query = select(_ANSWER.c.body).where(_ANSWER.c.key == key, _ANSWER.c.expires_at >= self._now())
        try:
            body: str | None = await self._store.read(lambda session: session.scalar(query))
            return None if body is None else LLMResponse.model_validate_json(body)
        except Unavailable as error:
            LOG.warning("the answer cache cannot be read: %s", error)
        except ValidationError as error:  # kept by another version of the program
            LOG.warning("answer %s in the cache cannot be used: %s", key, error.errors(include_input=False))
        return None

    async def put(self, key: str, response: LLMResponse, tenant: str = "") -> None:
        now = self._now()
        try:
            # Escaped, JSON holds only what a database takes as text.
            body = response.model_dump_json(ensure_ascii=True)
            kept = _Kept(key, clean(tenant), now, now + self._life, body)
            await self._store.write_each(_put, kept, is_quick=True)
        except (Unavailable, PydanticSerializationError) as error:
            LOG.warning("an answer could not be put into the cache: %s", error)


def _put(connection: Connection, answers: Sequence[_Kept]) -> list[None]:
    latest = {answer.key: answer for answer in answers}
    _answers.rows(connection, sorted(latest.values()))
    now = max(answer.at for answer in answers)
    ended = select(_ANSWER.c.key).where(_ANSWER.c.expires_at < now).order_by(_ANSWER.c.key).limit(ENDED_AT_ONCE_MAX)
    connection.execute(delete(_ANSWER).where(_ANSWER.c.key.in_(ended.with_for_update(skip_locked=True))))
    return [None] * len(answers)
