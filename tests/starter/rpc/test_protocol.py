"""JSON-RPC 2.0, first by every example of its specification (section 7), then by what it leaves to be tried."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pointsman.contracts.base import Json
from starter.web.rpc.protocol import BATCH_MAX, Method, RpcError, answer


class Pair(BaseModel):
    minuend: int
    subtrahend: int


class Many(BaseModel):
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0


class Nothing(BaseModel):
    pass


SEEN: list[tuple[str, object]] = []


async def subtract(pair: Pair, caller: str) -> Json:
    SEEN.append(("subtract", pair))
    return pair.minuend - pair.subtrahend


async def total(many: Many, caller: str) -> Json:
    return many.a + many.b + many.c + many.d + many.e


async def update(many: Many, caller: str) -> Json:
    SEEN.append(("update", many))
    return None


async def get_data(nothing: Nothing, caller: str) -> Json:
    return ["hello", 5]


async def refuse(nothing: Nothing, caller: str) -> Json:
    raise RpcError(-32001, "Budget exceeded", {"retry_after": 7, "caller": caller})


INVALID = '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}'
METHODS: dict[str, Method[BaseModel, str]] = {
    name: Method(parameters, handle)  # type: ignore[arg-type]  # each handler takes its own parameters
    for name, parameters, handle in (
        ("subtract", Pair, subtract),
        ("sum", Many, total),
        ("update", Many, update),
        ("notify_hello", Many, update),
        ("notify_sum", Many, update),
        ("get_data", Nothing, get_data),
        ("refuse", Nothing, refuse),
    )
}


async def ask(body: str | bytes) -> Json:
    return await answer(body.encode() if isinstance(body, str) else body, METHODS, "ada")


def plain(answered: Json) -> Json:
    """Without what the specification leaves to us: the data of errors."""
    if isinstance(answered, list):
        return [plain(one) for one in answered]
    if isinstance(answered, dict) and isinstance(error := answered.get("error"), dict):
        return {**answered, "error": {name: value for name, value in error.items() if name != "data"}}
    return answered


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (
            '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
            '{"jsonrpc": "2.0", "result": 19, "id": 1}',
        ),
        (
            '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
            '{"jsonrpc": "2.0", "result": -19, "id": 2}',
        ),
        (
            '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
            '{"jsonrpc": "2.0", "result": 19, "id": 3}',
        ),
        (
            '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
            '{"jsonrpc": "2.0", "result": 19, "id": 4}',
        ),
        ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', "null"),
        ('{"jsonrpc": "2.0", "method": "foobar"}', "null"),
        (
            '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
            '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}',
        ),
        (
            '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
            '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
        ),
        (
            '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
            '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}',
        ),
        (
            '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
            '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
        ),
        ("[]", INVALID),
        ("[1]", f"[{INVALID}]"),
        (
            "[1,2,3]",
            f"[{INVALID}, {INVALID}, {INVALID}]",
        ),
        (
            """[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
                {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
                {"foo": "boo"},
                {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
                {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]""",
            """[{"jsonrpc": "2.0", "result": 7, "id": "1"},
                {"jsonrpc": "2.0", "result": 19, "id": "2"},
                {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
                {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
                {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}]""",
        ),
        (
            """[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]""",
            "null",
        ),
    ],
)  # fmt: skip
async def test_examples_of_the_specification(sent: str, received: str) -> None:
    assert plain(await ask(sent)) == json.loads(received)


async def test_a_notification_is_carried_out() -> None:
    SEEN.clear()
    assert await ask('{"jsonrpc": "2.0", "method": "update", "params": {"c": 3}}') is None
    assert [("update", Many(c=3))] == SEEN


async def test_an_error_of_a_method_carries_its_data() -> None:
    answered = await ask('{"jsonrpc": "2.0", "method": "refuse", "id": 1}')
    assert answered == {
        "jsonrpc": "2.0",
        "error": {"code": -32001, "message": "Budget exceeded", "data": {"retry_after": 7, "caller": "ada"}},
        "id": 1,
    }
    assert await ask('{"jsonrpc": "2.0", "method": "refuse"}') is None


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"method": "subtract", "params": {"minuend": 1}}, "subtrahend: Field required"),
        ({"method": "subtract", "params": ["x", 2]}, "minuend: Input should be a valid integer"),
        ({"method": "subtract", "params": [1, 2, 3]}, "3 parameters given, subtract takes at most 2"),
        ({"method": "subtract"}, "minuend: Field required"),
        ({"method": "subtract", "params": "x"}, "params must be an object or an array"),
        ({"method": "subtract", "jsonrpc": "1.0"}, 'jsonrpc must be exactly "2.0"'),
        ({"method": "subtract", "id": True}, "id must be text, a number or null"),
        ({"method": "subtract", "id": [1]}, "id must be text, a number or null"),
    ],
)
async def test_what_is_wrong_is_named(call: dict[str, Json], reason: str) -> None:
    answered = await ask(json.dumps({"jsonrpc": "2.0", "id": 1, **call}))
    assert reason in json.dumps(answered).replace('\\"', '"')


async def test_a_batch_that_is_too_long_is_refused_as_a_whole() -> None:
    SEEN.clear()
    call = {"jsonrpc": "2.0", "method": "update"}
    answered = await ask(json.dumps([call] * (BATCH_MAX + 1)))
    assert isinstance(answered, dict)
    assert f"at most {BATCH_MAX} are taken. None was made" in json.dumps(answered)
    assert SEEN == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"NaN", b"[" * 100_000])
async def test_bytes_that_are_no_json_are_a_parse_error(body: bytes) -> None:
    answered = await ask(body)
    assert isinstance(answered, dict)
    assert plain(answered) == {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["jsonrpc", "method", "params", "id", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(anything)
async def test_anything_at_all_gets_an_answer_or_none(document: Json) -> None:
    answered = await ask(json.dumps(document))
    told = answered if isinstance(answered, list) else [answered] if answered is not None else []
    assert all(isinstance(one, dict) and one["jsonrpc"] == "2.0" and "id" in one for one in told)
