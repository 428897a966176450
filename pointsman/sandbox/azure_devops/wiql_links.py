"""The part of WIQL that asks for links: one hop, or down a tree.

    SELECT [f], ... FROM WorkItemLinks
    WHERE (conditions on [Source].[f]) AND ([System.Links.LinkType] = 'kind') AND (conditions on [Target].[f])
    MODE (MustContain | MayContain | DoesNotContain | Recursive)

Each part joined by AND asks about one end, or about the kind of link. What else there is is refused by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pointsman.sandbox.azure_devops.process import LINKS
from pointsman.sandbox.azure_devops.state import Item
from pointsman.sandbox.azure_devops.wiql import Context, Order, Parser, Test, refused, sort_key, tokens

CHILD = "System.LinkTypes.Hierarchy-Forward"
KIND = "SYSTEM.LINKS.LINKTYPE"
MODES = ("MUSTCONTAIN", "MAYCONTAIN", "DOESNOTCONTAIN", "RECURSIVE")


@dataclass(frozen=True)
class Row:
    """A line of the answer: an item at the top (`source` 0), or what a link leads to."""

    target: int
    source: int = 0
    rel: str = ""


@dataclass(frozen=True)
class LinkQuery:
    columns: tuple[str, ...]
    order: tuple[Order, ...]
    sources: tuple[Test, ...]
    targets: tuple[Test, ...]
    kinds: frozenset[str]
    """Empty: any."""
    mode: str

    @property
    def query_type(self) -> str:
        return "tree" if self.mode == "RECURSIVE" else "oneHop"

    def run(self, items: Mapping[int, Item]) -> list[Row]:
        """Each item at the top with its links behind it, in order."""
        standing = sorted((item for item in items.values() if not item.deleted), key=lambda item: item.id)
        for order in reversed(self.order):
            standing.sort(key=lambda item: sort_key(item.fields.get(order.field)), reverse=order.descending)
        tops = [item for item in standing if all(test(item) for test in self.sources)]
        if self.mode == "RECURSIVE":
            return list(self._trees(tops, items))
        return [row for top in tops for row in self._hop(top, items)]

    def _hop(self, top: Item, items: Mapping[int, Item]) -> Iterator[Row]:
        links = list(self._links(top, items))
        if self.mode == "DOESNOTCONTAIN":
            yield from () if links else (Row(top.id),)
        elif links or self.mode == "MAYCONTAIN":
            yield Row(top.id)
            yield from links

    def _trees(self, tops: Sequence[Item], items: Mapping[int, Item]) -> Iterator[Row]:
        """An item that hangs below another one of the tops stands there only."""
        wanted = {top.id for top in tops}
        for top in tops:
            if not self._hangs_below(top, wanted, items):
                yield Row(top.id)
                yield from self._below(top, items)

    def _hangs_below(self, item: Item, tops: set[int], items: Mapping[int, Item]) -> bool:
        while all(test(item) for test in self.targets) and (parent := items.get(item.parent)) and not parent.deleted:
            if parent.id in tops:
                return True
            item = parent
        return False

    def _below(self, top: Item, items: Mapping[int, Item]) -> Iterator[Row]:
        waiting = list(self._links(top, items))[::-1]
        while waiting:
            row = waiting.pop()
            yield row
            waiting += list(self._links(items[row.target], items))[::-1]

    def _links(self, item: Item, items: Mapping[int, Item]) -> Iterator[Row]:
        for held in item.relations:
            target = items.get(held.target)
            if target is None or target.deleted or (self.kinds and held.rel not in self.kinds):
                continue
            if all(test(target) for test in self.targets):
                yield Row(target.id, item.id, held.rel)


def asks_for_links(text: str) -> bool:
    return any(token.word == "WORKITEMLINKS" for token in tokens(text))


def parse_links(text: str, context: Context) -> LinkQuery:
    """Raises `ServiceError` with status 400 for anything outside of the part that is played."""
    return _LinkParser(tokens(text), context).link_query()


class _LinkParser(Parser):
    _end = ""

    def link_query(self) -> LinkQuery:
        self._expect("SELECT")
        columns = [self._field()]
        while self._take(","):
            columns.append(self._field())
        self._expect("FROM")
        self._expect("WORKITEMLINKS")
        tests: dict[str, list[Test]] = {"source": [], "target": []}
        kinds: set[str] = set()
        if self._take("WHERE"):
            self._conditions(tests, kinds)
        order = self._order() if self._take("ORDER") else ()
        mode = self._mode()
        order = order or (self._order() if self._take("ORDER") else ())
        if self._peek().kind != "end":
            raise refused(f"{self._peek().text} after the query")
        if mode == "RECURSIVE" and kinds - {CHILD}:
            raise refused(f"MODE (Recursive) along {', '.join(sorted(kinds))}")
        if mode == "RECURSIVE":
            kinds = {CHILD}
        return LinkQuery(tuple(columns), order, tuple(tests["source"]), tuple(tests["target"]), frozenset(kinds), mode)

    def _conditions(self, tests: dict[str, list[Test]], kinds: set[str]) -> None:
        while True:
            if self._concerns_kind():
                kinds |= self._kinds()
            else:
                self._end = ""
                test = self._one()
                tests[self._end or "source"].append(test)
            if not self._take("AND"):
                return

    def _concerns_kind(self) -> bool:
        ahead = 0
        while self._ahead(ahead).text == "(":
            ahead += 1
        return self._ahead(ahead).text.strip("[]").upper() == KIND

    def _kinds(self) -> set[str]:
        """`= 'a'`, `IN ('a', 'b')` or `= 'a' OR ... = 'b'`, in parentheses or not."""
        if self._take("("):
            found = self._kinds()
            while self._take("OR"):
                found |= self._kinds()
            self._expect(")")
            return found
        self._next()
        operator = self._operator()
        if operator not in ("=", "IN"):
            raise refused(f"operator {operator!r} on the kind of link")
        values = self._list() if operator == "IN" else [self._value()]
        unknown = [value for value in values if value not in LINKS]
        if unknown:
            raise refused(f"kind of link {unknown[0]!r}")
        return {str(value) for value in values}

    def _field(self) -> str:
        """A field of either end; all fields of one condition belong to the same."""
        if self._peek().kind == "side":
            end = self._next().text.strip("[].").lower()
            if self._end not in ("", end):
                raise refused("conditions on both ends in one part")
            self._end = end
        return super()._field()

    def _mode(self) -> str:
        if not self._take("MODE"):
            return "MUSTCONTAIN"
        self._expect("(")
        mode = self._next().word
        if mode not in MODES:
            raise refused(f"MODE ({mode})")
        self._expect(")")
        return mode
