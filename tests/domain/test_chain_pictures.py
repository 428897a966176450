"""A picture of a chain is well-formed, tells its content in words, holds no markup of others, and overlaps nothing."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.chains import Edge, EdgeKind, ThingTold, Walk
from pointsman.domain.chain_pictures import draw, layout

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
NAMES = [f"item:x/{number}" for number in range(1, 9)]
EDGES = st.lists(
    st.builds(Edge, cause=st.sampled_from(NAMES), effect=st.sampled_from(NAMES), kind=st.just(EdgeKind.CHILD))
)


def picture(edges: list[Edge], what: str = "", names: list[str] = NAMES) -> str:
    walk = Walk(start=names[0], tenant="t", things=tuple(names), edges=tuple(edges))
    told = [ThingTold(thing=name, what=what, at=START + timedelta(minutes=at)) for at, name in enumerate(names)]
    return draw(walk, told)


@given(EDGES)
def test_no_two_things_are_drawn_at_one_place_and_time_goes_to_the_right(edges: list[Edge]) -> None:
    places = layout(NAMES, edges)
    assert len(set(places.values())) == len(NAMES)
    for edge in edges:
        if NAMES.index(edge.cause) < NAMES.index(edge.effect):
            assert places[edge.cause].column < places[edge.effect].column


@given(EDGES, st.text())
def test_whatever_a_thing_is_called_the_picture_is_xml_without_markup_of_it(edges: list[Edge], what: str) -> None:
    root = Xml.fromstring(picture(edges, what))  # noqa: S314 - of our own making, and small
    assert len(root.findall(f"{SVG}g")) == len(NAMES)
    allowed = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed


def test_markup_in_a_title_stays_text() -> None:
    drawn = picture([], "<script>alert(1)</script> & more")
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn


def test_a_picture_says_in_words_what_it_shows_and_follows_the_readers_colours() -> None:
    drawn = picture([Edge(cause=NAMES[0], effect=NAMES[1], kind=EdgeKind.CHILD, removed=True)])
    root = Xml.fromstring(drawn)  # noqa: S314 - of our own making, and small
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title desc")
    assert root.findtext(f"{SVG}title") == "Chain of item:x/1"
    assert root.findtext(f"{SVG}desc") == "8 things and 1 connection. item:x/1 child item:x/2"
    assert "prefers-color-scheme: dark" in drawn
    assert "child (removed)" in drawn


def test_the_same_chain_gives_the_same_picture() -> None:
    edges = [Edge(cause=NAMES[at], effect=NAMES[at + 1], kind=EdgeKind.CHILD) for at in range(7)]
    assert picture(edges) == picture(edges)


def test_a_circle_is_drawn() -> None:
    edges = [Edge(cause=NAMES[at], effect=NAMES[(at + 1) % 3], kind=EdgeKind.RELATED) for at in range(3)]
    assert [place.column for place in list(layout(NAMES[:3], edges).values())] == [0, 1, 2]
    assert picture(edges, names=NAMES[:3]).count('class="edge"') == 3
