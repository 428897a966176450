"""What is kept of a tenant's answers, on the command line: counted, and forgotten."""

from pointsman.config import Settings
from pointsman.store.llm_retention import LlmRetention
from starter.cli.context import changing, reading
from starter.cli.output import Single


async def kept(settings: Settings, tenant: str) -> int:
    """How many answers to the tenant the cache holds."""
    async with reading(settings) as store:
        return await LlmRetention(store, "").answers(tenant)


async def forget(settings: Settings, tenant: str, by: str) -> Single:
    """Delete them; the audit log says who did it, and how many there were."""
    async with changing(settings) as store:
        gone = await LlmRetention(store, by).forget_answers(tenant)
    return Single("forgotten", {"tenant": tenant, "answers": gone, "by": by})
