"""What the stand-in's model makes of a work item and of the items that its tools found."""

import re
from collections import Counter
from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.situation import Situation, words

PRIORITY, SEVERITY, STATE = "Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Common.Severity", "System.State"
SEVERITIES = ("1 - Critical", "2 - High", "3 - Medium", "4 - Low")
DUPLICATE_OF, RELATED = "Duplicate Of", "Related"
SIMILAR_MAX = 3
SIMILAR_SCORE_MIN, DUPLICATE_SCORE_MIN = 0.34, 0.6
DESCRIPTION_CHARS_MIN = 20
URGENT = ("crash", "data loss", "outage", "security", "cannot log in", "is down")

_STATES = "New|Active|Approved|Committed|Resolved|Closed|Done|Removed|To Do|Doing"
_MOVE = re.compile(rf"\b(?:move|set|change|put|transition)\b[^.;\n]*?\b(?:to|as|in|into)\s+[`'\"*]*({_STATES})\b", re.I)
_CLOSE = re.compile(r"\b(close|resolve)\b", re.I)
_NOT = re.compile(r"\b(?:do not|don't|never|must not|leave|without)\b", re.I)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n\s*(?:[-*]\s+|\n)")  # a line that is only wrapped goes on
_LINK = re.compile(r"\blinks?\b", re.I)
_REFERENCE = re.compile(r"\b(?:System|Microsoft\.VSTS|Custom)(?:\.\w+)+")
_TAG_ASKED = re.compile(r"\btags?\b[^.;]{0,20}?`([^`;,]+)`", re.I)
_PRIORITY_ASKED = re.compile(r"\bpriority\b\D{0,12}([1-4])\b", re.I)
_SEVERITY_ASKED = re.compile(r"\bseverity\b\D{0,12}([1-4])\b", re.I)


@dataclass(frozen=True)
class Judgement:
    comment: str = ""
    fields: Object = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    links: tuple[Object, ...] = ()
    question: str = ""
    similar: tuple[Object, ...] = ()


def judge(situation: Situation) -> Judgement:
    """The outcome for the item, or an answer in words where the conversation is about none."""
    if not situation.item:
        return Judgement(comment=_words_only(situation))
    similar = _similar(situation)
    if question := _question(situation, similar):
        return Judgement(question=question, similar=similar)
    duplicate = _duplicate(situation, similar)
    priority, severity = _priority(situation, similar), _severity(situation, similar)
    state = _state(situation, similar, duplicate)
    fields: Object = {PRIORITY: priority, SEVERITY: severity if situation.item.get("type") == "Bug" else None}
    named = set(_REFERENCE.findall(situation.system))
    wanted: Object = {
        name: value for name, value in fields.items() if value is not None and (not named or name in named)
    }
    if state and state != situation.item.get("state"):
        wanted[STATE] = state
    comment = _comment(situation, similar, duplicate, wanted)
    tags, links = _tags_for(situation, similar), _links(situation, similar, duplicate)
    return Judgement(comment=comment, fields=wanted, tags=tags, links=links, similar=similar)


def _sentences(text: str) -> list[str]:
    return [" ".join(sentence.split()) for sentence in _SENTENCE.split(text)]


def _similar(situation: Situation) -> tuple[Object, ...]:
    scored = [(_score(situation, other), other) for other in situation.known]
    close = [(score, other) for score, other in scored if score >= SIMILAR_SCORE_MIN]
    close.sort(key=lambda pair: (-pair[0], str(pair[1]["id"])))
    return tuple(other for _, other in close[:SIMILAR_MAX])


def _score(situation: Situation, other: Object) -> float:
    """How many of the item's words the other's title shares, 0 to 1."""
    own = words(situation.title)
    return len(own & words(str(other["title"]))) / len(own) if own else 0.0


def _duplicate(situation: Situation, similar: tuple[Object, ...]) -> Object | None:
    return next((other for other in similar if _score(situation, other) >= DUPLICATE_SCORE_MIN), None)


def _priority(situation: Situation, similar: tuple[Object, ...]) -> int:
    for text in reversed(situation.later):
        if asked := _PRIORITY_ASKED.search(text):
            return int(asked[1])
    seen = [value for other in similar if (value := _number(other.get("priority"))) is not None]
    text = f"{situation.title} {situation.item.get('description') or ''}".lower()
    if any(sign in text for sign in URGENT):
        return 1
    return min(Counter(seen).most_common(), key=lambda pair: (-pair[1], pair[0]))[0] if seen else 3


def _severity(situation: Situation, similar: tuple[Object, ...]) -> str:
    for text in reversed(situation.later):
        if asked := _SEVERITY_ASKED.search(text):
            return SEVERITIES[int(asked[1]) - 1]
    seen = [str(other["severity"]) for other in similar if str(other.get("severity")) in SEVERITIES]
    if seen:
        return min(Counter(seen).most_common(), key=lambda pair: (-pair[1], pair[0]))[0]
    return SEVERITIES[_priority(situation, similar) - 1]


def _state(situation: Situation, similar: tuple[Object, ...], duplicate: Object | None) -> str:
    """The state that an order means, the latest order first. Silence means none."""
    for text in [*reversed(situation.later), situation.system]:
        for sentence in _sentences(text):
            move, close = _MOVE.search(sentence), _CLOSE.search(sentence)
            if not move and not close:
                if "state" in sentence.lower() and _NOT.search(sentence):
                    return ""
                continue
            if _NOT.search(sentence):
                return ""
            if _holds(sentence.lower(), similar, duplicate):
                return _target(move[1] if move else close[1] if close else "")
    return ""


def _target(word: str) -> str:
    """The state that an order names, or that its verb means."""
    return {"close": "Closed", "resolve": "Resolved"}.get(word.lower(), word[:1].upper() + word[1:])


def _holds(sentence: str, similar: tuple[Object, ...], duplicate: Object | None) -> bool:
    """Whether the condition in an order is met; an order without one always is."""
    if "duplicate" in sentence:
        return duplicate is not None
    if any(word in sentence for word in ("similar", "known", "earlier", "already")):
        return bool(similar)
    return True


def _question(situation: Situation, similar: tuple[Object, ...]) -> str:
    """What to ask a human, where the prompt says to ask and nobody has answered yet."""
    if situation.later:
        return ""
    for sentence in _sentences(situation.system):
        said = sentence.lower()
        if not re.search(r"\bask\b", said) or _NOT.search(said):
            continue
        description = str(situation.item.get("description") or "").strip()
        if re.search(r"nothing|no similar|none", said) and not similar:
            return f"I found nothing similar to “{situation.title}”. How should it be handled?"
        if "description" in said and len(description) < DESCRIPTION_CHARS_MIN:
            return f"“{situation.title}” has no description that one could work with. What exactly happens, and where?"
    return ""


def _tags_for(situation: Situation, similar: tuple[Object, ...]) -> tuple[str, ...]:
    """Tags that the item lacks: those that the prompt names, and the one that similar items carry most."""
    seen = Counter(tag for other in similar for tag in _tags(other.get("tags")))
    ranked = sorted(seen, key=lambda tag: (-seen[tag], tag))
    own = {tag.casefold() for tag in _tags(situation.item.get("tags"))}
    common = next((tag for tag in ranked if tag.casefold() not in own), "")
    wanted = [*_TAG_ASKED.findall(situation.system), common]
    return tuple(tag for tag in dict.fromkeys(wanted) if tag and tag.casefold() not in own)


def _links(situation: Situation, similar: tuple[Object, ...], duplicate: Object | None) -> tuple[Object, ...]:
    """Links to what is like the item, of the kinds that orders name. What it repeats it is a duplicate of."""
    asked = {kind for text in (situation.system, *situation.later) for kind in _links_asked(text)}
    links: list[Object] = []
    for other in similar:
        kind = DUPLICATE_OF if other is duplicate and DUPLICATE_OF in asked else RELATED
        why = "reads like the same" if kind == DUPLICATE_OF else "is about the same"
        if kind in asked and other["id"] != situation.item.get("id"):
            links.append({"relation": kind, "target": str(other["id"]), "comment": why})
    return tuple(links)


def _links_asked(text: str) -> set[str]:
    """Kinds in quotation marks in a sentence that speaks of links, unless it forbids them."""
    told = [sentence for sentence in _sentences(text) if _LINK.search(sentence) and not _NOT.search(sentence)]
    return {kind for sentence in told for kind in (DUPLICATE_OF, RELATED) if f"`{kind}`" in sentence}


def _tags(value: Json) -> list[str]:
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(";") if tag.strip()]
    return [str(tag) for tag in value] if isinstance(value, list) else []


def _number(value: Json) -> int | None:
    return int(value) if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()) else None


def _comment(situation: Situation, similar: tuple[Object, ...], duplicate: Object | None, fields: Object) -> str:
    item = situation.item
    lines = [f"**Triage of {item.get('type') or 'item'} #{item.get('id')}: {situation.title}**", ""]
    if similar:
        lines += ["These items are about the same:", "", *(f"- {_cited(other)}" for other in similar), ""]
    elif situation.results:
        lines += ["No earlier item is about the same.", ""]
    failures = [text for text in situation.results if text.startswith("The tool failed:")]
    lines += [f"A look-up failed, so this may be incomplete: {text[:200]}" for text in failures]
    if duplicate:
        lines.append(f"It reads like a duplicate of #{duplicate['id']}.")
    lines += [f"Proposed: {name.rpartition('.')[2].lower()} **{value}**." for name, value in fields.items()]
    lines += [f"Taken into account: {text.strip()[:300]}" for text in situation.told[1:]]
    return "\n".join(lines).strip()


def _cited(other: Object) -> str:
    """One item with what became of it, as far as it was told."""
    told = [other.get("state"), other.get("resolution") or other.get("reason")]
    if priority := other.get("priority"):
        told.append(f"priority {priority}")
    if severity := other.get("severity"):
        told.append(f"severity {severity}")
    about = ", ".join(str(value) for value in told if value)
    link = f"[#{other['id']}]({other['url']})" if other.get("url") else f"#{other['id']}"
    return f"{link} {other['title']}" + (f" ({about})" if about else "")


def _words_only(situation: Situation) -> str:
    found = "".join(f"\n- {_cited(other)}" for other in situation.known[:SIMILAR_MAX])
    about = " ".join(situation.asked.split())[:200]
    return f"You said: {about}" + (f"\nI found:{found}" if found else "")
