"""What a model can read from a request: who it is told to be, what it is asked, what its tools returned.

It knows nothing beyond the text: no setting, no test and no caller.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object
from pointsman.sandbox.models.formats import Asked

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "about after again also because been before being could does each from have into just more only other should "
        "some such than that their them then there these they this very were what when where which while will with "
        "would your",
    )
)
_CHANGED_TITLE = re.compile(r'System\.Title: ".*" -> ("(?:[^"\\]|\\.)*")')
_DECODER = json.JSONDecoder()


@dataclass
class Situation:
    """A request as a reader understands it."""

    system: str
    told: list[str]
    """What users said, in order."""
    tools: list[Object]
    called: list[str]
    """Names of tools that were called before."""
    results: list[str]
    """What they returned."""
    item: Object
    """The work item that the conversation is about, as far as it was told; empty without one."""
    known: list[Object] = field(default_factory=list)
    """Other items that the tools told of, each once."""

    @property
    def title(self) -> str:
        return str(self.item.get("title") or "")

    @property
    def asked(self) -> str:
        """What the user said last."""
        return self.told[-1] if self.told else ""

    @property
    def later(self) -> list[str]:
        """What was said after the item was shown, apart from reports on what happened meanwhile."""
        return [text for text in self.told[1:] if not text.startswith("Meanwhile ")]


def read_situation(asked: Asked) -> Situation:
    told, results = list(asked.told), list(asked.results)
    subject = _subject(told)
    return Situation(
        system=asked.system,
        told=told,
        tools=list(asked.tools),
        called=list(asked.called),
        results=results,
        item=subject,
        known=_known(results, subject.get("id")),
    )


def words(text: str) -> set[str]:
    """Words of four letters and more that say what a text is about."""
    found = set(re.findall(r"[^\W\d_]{4,}", text.lower()))
    return {word for word in found if word not in _STOP_WORDS}


def found_json(text: str) -> Iterator[Json]:
    """Every JSON object or array in a text, also where it is cut off or surrounded by words."""
    position = 0
    while (start := _next_bracket(text, position)) >= 0:
        try:
            value, position = _DECODER.raw_decode(text, start)
        except ValueError:
            position = start + 1
        else:
            yield value


def _next_bracket(text: str, position: int) -> int:
    found = [start for mark in "{[" if (start := text.find(mark, position)) >= 0]
    return min(found, default=-1)


def _subject(told: list[str]) -> Object:
    """The work item that was shown last, with the title that it was given since."""
    item: Object = {}
    for text in told:
        _, mark, rest = text.partition("Work item:")
        shown = next(found_json(rest), None) if mark else None
        if isinstance(shown, dict) and "id" in shown:
            item = shown
        elif change := _CHANGED_TITLE.search(text):
            item = {**item, "title": str(json.loads(change[1]))}
    return item


def _known(results: list[str], own_id: Json) -> list[Object]:
    """Items in what the tools returned: whatever has an id and a title, flattened."""
    known: dict[str, Object] = {}
    for text in results:
        for value in found_json(text):
            for entry in _entries(value):
                if entry.get("id") != own_id:
                    known.setdefault(str(entry["id"]), {}).update(entry)
    return list(known.values())


def _entries(value: Json) -> Iterator[Object]:
    if isinstance(value, list):
        for entry in value:
            yield from _entries(entry)
    elif isinstance(value, dict):
        flat = _flat(value)
        if isinstance(flat.get("id"), int | str) and flat.get("title"):
            yield flat
        else:
            for entry in value.values():
                yield from _entries(entry)


def _flat(value: Mapping[str, Json]) -> Object:
    """The object with its `fields` beside its own, by the last part of their names, in small letters."""
    fields = {name.rpartition(".")[2].lower(): entry for name, entry in as_object(value.get("fields")).items()}
    return {**fields, **{name.lower(): entry for name, entry in value.items() if name != "fields"}}
