"""The part of WIQL that the stand-in plays: flat queries over items, with conditions and an order.

    SELECT [f], ... FROM WorkItems WHERE [f] op value AND|OR ( ... ) ORDER BY [f] ASC|DESC, ...

Queries over links are in `wiql_links`. Whatever else the language has (history, groups) is refused by name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pointsman.sandbox.azure_devops.clock import iso
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.process import FIELDS, Field, Shape, field_named
from pointsman.sandbox.azure_devops.revisions import Value
from pointsman.sandbox.azure_devops.rules import tags_of
from pointsman.sandbox.azure_devops.state import Item

_TOKEN = re.compile(
    r"""\s*(?:(?P<side>\[?(?:Source|Target)\]?\.)|(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<field>\[[^\]]+\])|(?P<macro>@\w+)
    |(?P<number>-?\d+(?:\.\d+)?)|(?P<sign><>|<=|>=|[=<>(),+-])|(?P<word>[A-Za-z_][\w.]*))""",
    re.VERBOSE | re.IGNORECASE,
)
_REFUSED = {"MODE", "ASOF", "EVER", "WAS", "GROUP", "NOT", "FROMDATE"}

MACROS = ("@project", "@me", "@today")
Test = Callable[[Item], bool]


@dataclass(frozen=True)
class Context:
    """What macros mean. `now` is aware, in UTC."""

    project: str
    me: Identity
    now: datetime


@dataclass(frozen=True)
class Order:
    field: str
    descending: bool


@dataclass(frozen=True)
class Query:
    columns: tuple[str, ...]
    test: Test
    order: tuple[Order, ...]

    def run(self, items: Sequence[Item]) -> list[Item]:
        """Items that stand and match, in order; by id where nothing else decides."""
        found = sorted((item for item in items if not item.deleted and self.test(item)), key=lambda item: item.id)
        for order in reversed(self.order):
            found.sort(key=lambda item: sort_key(item.fields.get(order.field)), reverse=order.descending)
        return found


def parse(text: str, context: Context) -> Query:
    """Raises `ServiceError` with status 400 for anything outside of the part that is played."""
    return Parser(tokens(text), context).query()


def refused(what: str) -> ServiceError:
    return ServiceError(400, f"TF51006: The stand-in does not understand this query: {what}.", "SyntaxException")


@dataclass(frozen=True)
class Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind in ("word", "sign") else ""


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    place = 0
    text = text.rstrip().rstrip(";").rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise refused(f"character {text[place:].lstrip()[:1]!r} behind {text[:place]!r}")
        found.append(Token(match.lastgroup, match.group(match.lastgroup)))
        place = match.end()
    return found


class Parser:
    """Recursive descent: OR binds weaker than AND, parentheses bind strongest."""

    def __init__(self, tokens: list[Token], context: Context) -> None:
        self._tokens = tokens
        self._context = context
        self._place = 0

    def query(self) -> Query:
        self._expect("SELECT")
        columns = [self._field()]
        while self._take(","):
            columns.append(self._field())
        self._expect("FROM")
        self._expect("WORKITEMS")
        test = self._any() if self._take("WHERE") else _everything
        order = self._order() if self._take("ORDER") else ()
        if self._place < len(self._tokens):
            raise refused(f"{self._peek().text} after the query")
        return Query(tuple(columns), test, order)

    def _order(self) -> tuple[Order, ...]:
        self._expect("BY")
        orders = []
        while True:
            field = self._field()
            descending = self._take("DESC")
            if not descending:
                self._take("ASC")
            orders.append(Order(field, descending))
            if not self._take(","):
                return tuple(orders)

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("OR"):
            tests.append(self._all())
        return lambda item: any(test(item) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("AND"):
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if self._take("("):
            inner = self._any()
            self._expect(")")
            return inner
        name = self._field()
        operator = self._operator()
        if operator in ("IN", "NOT IN"):
            wanted = self._list()
            inside = _in(name, wanted)
            return inside if operator == "IN" else lambda item: not inside(item)
        return comparison(name, operator, self._value())

    def _operator(self) -> str:
        words = [self._next().word]
        if words[0] == "NOT" and self._peek().word in ("CONTAINS", "IN", "UNDER"):
            words.append(self._next().word)
        if words[-1] == "CONTAINS" and self._peek().word == "WORDS":
            words.append(self._next().word)
        operator = " ".join(words)
        if operator not in OPERATORS:
            raise refused(f"operator {operator!r}")
        return operator

    def _list(self) -> list[Value]:
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> Value:
        token = self._next()
        if token.kind == "text":
            quote = token.text[0]
            return token.text[1:-1].replace(quote * 2, quote)
        if token.kind == "number":
            return float(token.text)
        if token.kind == "macro":
            return self._macro(token.text.lower())
        if token.word in ("TRUE", "FALSE"):
            return token.word == "TRUE"
        raise refused(f"value {token.text}")

    def _macro(self, name: str) -> Value:
        if name == "@project":
            return self._context.project
        if name == "@me":
            return self._context.me
        if name not in MACROS:
            raise refused(f"macro {name}")
        day = self._context.now.replace(hour=0, minute=0, second=0, microsecond=0)
        return iso(day + timedelta(days=self._days()))

    def _days(self) -> int:
        """What stands behind `@today`: `-7`, `- 7`, `+ 1` or nothing."""
        sign = "-" if self._take("-") else ""
        if not sign and not self._take("+") and self._peek().kind != "number":
            return 0
        offset = sign + self._next().text
        if not re.fullmatch(r"-?\d+", offset):
            raise refused(f"number of days {offset!r}")
        return int(offset)

    def _field(self) -> str:
        token = self._next()
        name = token.text.strip("[]") if token.kind in ("field", "word") else ""
        if token.word in _REFUSED:
            raise refused(token.word)
        known = field_named(name) or _by_friendly_name(name)
        if known is None:
            message = f"TF51005: The query references a field that does not exist. The error is caused by «{name}»."
            raise ServiceError(400, message, "SyntaxException")
        return known[0]

    def _peek(self) -> Token:
        return self._ahead(0)

    def _ahead(self, count: int) -> Token:
        place = self._place + count
        return self._tokens[place] if place < len(self._tokens) else Token("end", "its end")

    def _next(self) -> Token:
        token = self._peek()
        self._place += 1
        return token

    def _take(self, word: str) -> bool:
        if self._peek().word != word:
            return False
        self._place += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise refused(f"{self._peek().text} where {word} belongs")


def _by_friendly_name(name: str) -> tuple[str, Field] | None:
    return next(((ref, field) for ref, field in FIELDS.items() if field.name.lower() == name.lower()), None)


def _everything(_: Item) -> bool:
    return True


def sort_key(value: Value) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, (int, float)):
        return (1, float(value), "")
    return (2, 0.0, _text(value))


def _text(value: Value) -> str:
    return value.unique_name.lower() if isinstance(value, Identity) else str(value).lower()


def _moment(value: Value) -> datetime:
    text = str(value).replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise refused(f"date {value!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def comparison(name: str, operator: str, value: Value) -> Test:
    """A condition on one field. Texts compare without case; an empty field equals the empty text only."""
    compare = OPERATORS[operator]
    shape = FIELDS[name].shape

    def holds(item: Item) -> bool:
        held = _held(item, name)
        if held is None:
            return compare("", _text(value)) if isinstance(value, str) else operator == "<>"
        return _compare(compare, shape, held, value, operator)

    return holds


def _held(item: Item, name: str) -> Value:
    """What the item says in a field, or what its links say there."""
    if name == "System.Parent":
        return item.parent or None
    if name == "System.ExternalLinkCount":
        return sum(link.rel == "ArtifactLink" for link in item.relations)
    return item.fields.get(name)


def _compare(compare: "Compare", shape: Shape, held: Value, value: Value, operator: str) -> bool:
    if shape in (Shape.INTEGER, Shape.DOUBLE) and isinstance(held, (int, float)):
        return compare(float(held), _number(value))
    if shape is Shape.DATE:
        return compare(_moment(held).timestamp(), _moment(value).timestamp())
    if shape is Shape.TAGS and operator.endswith("CONTAINS"):
        inside = _text(value) in (tag.lower() for tag in tags_of(held))
        return inside is (operator == "CONTAINS")
    if shape is Shape.IDENTITY and isinstance(held, Identity) and isinstance(value, str):
        names = (held.unique_name.lower(), held.display_name.lower(), held.combined.lower())
        return (value.lower() in names) is (operator == "=") if operator in ("=", "<>") else compare(names[1], value)
    return compare(_text(held), _text(value))


def _number(value: Value) -> float:
    try:
        return float(str(value))
    except ValueError as error:
        raise refused(f"number {value!r}") from error


def _in(name: str, values: Sequence[Value]) -> Test:
    tests = [comparison(name, "=", value) for value in values]
    return lambda item: any(test(item) for test in tests)


def _under(held: str | float, wanted: str | float) -> bool:
    return held == wanted or str(held).startswith(f"{wanted}\\")


def _words(held: str | float, wanted: str | float) -> bool:
    return set(re.findall(r"\w+", str(wanted))) <= set(re.findall(r"\w+", str(held)))


Compare = Callable[[str | float, str | float], bool]
OPERATORS: Mapping[str, Compare] = {
    "=": lambda held, wanted: held == wanted,
    "<>": lambda held, wanted: held != wanted,
    "<": lambda held, wanted: _ordered(held, wanted) < 0,
    "<=": lambda held, wanted: _ordered(held, wanted) <= 0,
    ">": lambda held, wanted: _ordered(held, wanted) > 0,
    ">=": lambda held, wanted: _ordered(held, wanted) >= 0,
    "CONTAINS": lambda held, wanted: str(wanted) in str(held),
    "NOT CONTAINS": lambda held, wanted: str(wanted) not in str(held),
    "CONTAINS WORDS": _words,
    "UNDER": _under,
    "NOT UNDER": lambda held, wanted: not _under(held, wanted),
    "IN": lambda held, wanted: held == wanted,
    "NOT IN": lambda held, wanted: held != wanted,
}


def _ordered(held: str | float, wanted: str | float) -> int:
    if isinstance(held, str) or isinstance(wanted, str):
        return (str(held) > str(wanted)) - (str(held) < str(wanted))
    return (held > wanted) - (held < wanted)
