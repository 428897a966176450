"""Names and schemas of tools that servers offer: made fit for models, and never trusted."""

import re

from hypothesis import given
from hypothesis import strategies as st
from mcp.types import Tool

from pointsman.clients.mcp import McpTool, fault, named, tool_name


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_tool_gets_a_name_that_models_take(server: str, tool: str) -> None:
    name = tool_name(server, tool)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)


@given(st.sets(st.text("ab./_ ", min_size=1, max_size=80), min_size=2, max_size=6))
def test_different_tools_have_different_names(tools: set[str]) -> None:
    assert len({tool_name("server", tool) for tool in tools}) == len(tools)


def offered(schema: dict[str, object]) -> McpTool | None:
    return named("edge", Tool.model_validate({"name": "t", "inputSchema": schema}))


def test_tool_with_a_schema_that_is_none_is_left_out() -> None:
    assert offered({"type": "nonsense"}) is None


def test_schema_cannot_make_us_fetch_anything() -> None:
    tool = offered({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}})
    assert tool is not None
    assert "its schema is broken" in fault(tool, {"a": 1})
