"""A model without a model: it decides what to do from the text of the request alone, the same each time.

It looks things up with the tools that it is offered, then answers from what they returned; other results, another
answer. It takes orders from the system prompt and from users, never from a work item's own text.
"""

from collections.abc import Mapping

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object
from pointsman.sandbox.models.formats import Asked
from pointsman.sandbox.models.judgement import Judgement, judge
from pointsman.sandbox.models.replies import Call, Reply
from pointsman.sandbox.models.situation import Situation, read_situation, words

ONE_BY_ONE = ("one at a time", "one after another", "one after the other")
SEARCH_WORDS_MAX = 5


def plan(asked: Asked) -> Reply:
    """The next reply: tool calls as long as something is to be looked up, then the answer."""
    situation = read_situation(asked)
    calls = _lookups(asked, situation)
    if calls:
        return Reply(calls=tuple(calls), reasoning=_thought(situation, calls))
    judgement = judge(situation)
    thought = f"{len(situation.known)} other items were found, {len(judgement.similar)} of them are similar."
    if not asked.schema:
        return Reply(text=judgement.comment or judgement.question, reasoning=thought)
    return Reply(data=_fill("", asked.schema, _prepared(judgement), situation), reasoning=thought)


def _lookups(asked: Asked, situation: Situation) -> list[Call]:
    choice = asked.tool_choice
    if choice == "none" or not situation.tools:
        return []
    named = choice if choice not in ("auto", "required") else ""
    calls = [
        Call(name=str(tool["name"]), arguments=arguments)
        for tool in situation.tools
        if tool["name"] not in situation.called
        and (tool["name"] == named if named else _is_wanted(str(tool["name"]), situation))
        and (arguments := _arguments(tool, situation)) is not None
    ]
    if not calls and choice == "required":
        calls = [Call(name=str(situation.tools[0]["name"]), arguments=_arguments(situation.tools[0], situation) or {})]
    in_parallel = asked.parallel and not any(phrase in situation.system.lower() for phrase in ONE_BY_ONE)
    return calls if in_parallel else calls[:1]


def _is_wanted(name: str, situation: Situation) -> bool:
    """The item itself and a search always help; any other tool only where the text names it."""
    own_name = name.rpartition("__")[2].lower()
    if "get_work_item" in own_name or "search" in own_name:
        return True
    said = f"{situation.system}\n{situation.later[-1] if situation.later else ''}".lower()
    topic = own_name.rpartition("_")[2]
    return own_name in said or (len(topic) > 3 and topic in said)


def _arguments(tool: Object, situation: Situation) -> Object | None:
    """Arguments for what the tool requires; none if the text does not tell them."""
    schema = as_object(tool.get("parameters"))
    properties = as_object(schema.get("properties"))
    required = schema.get("required")
    arguments: Object = {}
    for name in map(str, required if isinstance(required, list) else ()):
        value = _argument(name, as_object(properties.get(name)), situation)
        if value is None:
            return None
        arguments[name] = value
    return arguments


def _argument(name: str, schema: Mapping[str, Json], situation: Situation) -> Json:
    kinds = schema.get("type") if isinstance(schema.get("type"), list) else [schema.get("type")]
    if name in ("id", "item_id", "work_item_id"):
        item_id = situation.item.get("id")
        return str(item_id) if item_id is not None and kinds == ["string"] else item_id
    if name in ("top", "limit", "count"):
        return 10
    if name in situation.item and name != "title":
        return situation.item[name]
    if isinstance(kinds, list) and "string" in kinds:
        return _search_text(situation) or None
    return None


def _search_text(situation: Situation) -> str:
    """The longest words of the title, or of what was asked, in their order: they tell most."""
    text = situation.title or situation.asked
    longest = sorted(words(text), key=lambda word: (-len(word), word))[:SEARCH_WORDS_MAX]
    return " ".join(sorted(longest, key=text.lower().index))


def _thought(situation: Situation, calls: list[Call]) -> str:
    names = ", ".join(call.name.rpartition("__")[2] for call in calls)
    subject = f"{situation.item.get('type') or 'item'} {situation.item.get('id')}" if situation.item else "this"
    return f"Before I say anything on {subject}, I look at {names}."


def _prepared(judgement: Judgement) -> Object:
    return {
        "comment": judgement.comment,
        "fields": [{"name": name, "value": value} for name, value in judgement.fields.items()],
        "tags": list(judgement.tags),
        "links": list(judgement.links),
        "question": judgement.question,
    }


def _fill(name: str, schema: Mapping[str, Json], prepared: Object, situation: Situation) -> Json:
    """A value of the schema: what was prepared under that name, or else the plainest one."""
    if name in prepared:
        return prepared[name]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        choices = schema["enum"]
        said = f"{situation.asked} {situation.title}".lower()
        assert isinstance(choices, list)
        return next((choice for choice in choices if str(choice).lower() in said), choices[0])
    kinds = schema.get("type")
    match kinds[0] if isinstance(kinds, list) and kinds else kinds:
        case "object":
            properties = as_object(schema.get("properties"))
            return {key: _fill(key, as_object(part), prepared, situation) for key, part in properties.items()}
        case "array":
            return []
        case "integer" | "number":
            return len(situation.known)
        case "boolean":
            return bool(situation.known)
        case "string":
            return str(prepared["comment"])
        case _:
            return None
