"""The SQL of the governance page answers on both databases what the page says it does."""

from sqlalchemy import text

from pointsman.llm.errors import ModelNotAllowedError, ModelRetiredError
from pointsman.llm.governance import Governance
from pointsman.llm.registry import Registry
from pointsman.llm.types import LLMRequest, Role, text_message
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.llm_violations import AuditedViolations
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "llm" / "governance.md"
HERE = "tests/store/test_llm_governance_queries.py::test_sql_examples_answer"
EXAMPLES = [block.text for block in blocks(PAGE) if block.what == HERE]


async def test_sql_examples_answer(store: Store) -> None:
    sqlite, postgresql = EXAMPLES
    example = sqlite if store.dialect == "sqlite" else postgresql
    governance = Governance(Registry.load(), (), AuditedViolations(Audit(store)))
    for tenant, model in (("rail", "gpt-4"), ("rail", "gpt-99"), ("rail", "gpt-4"), ("road", "gpt-4")):
        said = (text_message(Role.USER, "hello"),)
        try:
            await governance.admit(LLMRequest(messages=said, tenant=tenant), model)
        except (ModelNotAllowedError, ModelRetiredError):
            continue
        raise AssertionError(f"{model} was admitted")
    # A colon of PostgreSQL's casts is no parameter.
    query = text(example.replace("::", r"\:\:"))
    rows = await store.read(lambda session: session.execute(query).all())
    assert rows[0][:3] == ("rail", "gpt-4", 2)
    assert {tuple(row[:3]) for row in rows[1:]} == {("rail", "gpt-99", 1), ("road", "gpt-4", 1)}
    assert all(str(row[3]).startswith("20") for row in rows)
