"""Rows of small graphs: what is in a cell, which gap it has, and that what may not be seen is never called a gap."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    Column,
    Cover,
    Gap,
    LinkKind,
    LinkTold,
    MatrixCoverage,
    MatrixItem,
    OutcomeTold,
    RequestTold,
    Role,
)
from pointsman.domain.matrix.coverage import counted, of_column, share
from pointsman.domain.matrix.folding import latest_outcomes, settled_links
from pointsman.domain.matrix.rows import rows
from pointsman.domain.matrix.shapes import shape_of
from tests.domain.matrix.graphs import Graph, child, commit, request

EPIC, FEATURE, NEED, TASK, CASE, REVIEW, CHANGE = range(1, 8)
SHA = "ab" * 20
Change = Callable[[Graph], object]


def full() -> Graph:
    """Nothing is missing."""
    graph = Graph()
    graph.add(EPIC, "Epic")
    graph.add(FEATURE, "Feature", parent=EPIC)
    graph.add(NEED, "Requirement", "Closed", parent=FEATURE)
    graph.add(TASK, "Task", "Closed", parent=NEED)
    for item_id, kind in ((CASE, "Test Case"), (REVIEW, "Review"), (CHANGE, "Change Request")):
        graph.add(item_id, kind, "Closed")
    graph.links += [
        LinkTold(kind=LinkKind.TESTED_BY, source=NEED, target=CASE),
        LinkTold(kind=LinkKind.RELATED, source=NEED, target=REVIEW),
        LinkTold(kind=LinkKind.AFFECTS, source=CHANGE, target=NEED),
    ]
    graph.code[TASK] = [request(12)]
    graph.requests["12"] = RequestTold(number=12, status="completed", approvals=1, commits=(SHA,))
    graph.builds["7"] = BuildTold(id=7, number="7.1", status="completed", result="succeeded", commit=SHA)
    graph.outcomes[CASE] = OutcomeTold(case=CASE, outcome="passed")
    return graph


def unlink(kind: LinkKind) -> Change:
    return lambda graph: graph.links.__setitem__(slice(None), [one for one in graph.links if one.kind is not kind])


def orphan(item_id: int) -> Change:
    return lambda graph: graph.links.__setitem__(slice(None), [one for one in graph.links if one.target != item_id])


def told(**change: object) -> Change:
    def apply(graph: Graph) -> None:
        before = graph.requests["12"]
        assert before
        graph.requests["12"] = before.model_copy(update=change)

    return apply


def ended(status: str, result: str) -> Change:
    build = BuildTold(id=8, status=status, result=result, commit=SHA)
    return lambda graph: graph.builds.update({"8": build})


def state(item_id: int, name: str) -> Change:
    return lambda graph: graph.items.update({item_id: graph.items[item_id].model_copy(update={"state": name})})


def no_code(graph: Graph) -> None:
    graph.code.clear()


def read_later(graph: Graph) -> None:
    graph.code.clear()
    graph.items[TASK] = graph.items[TASK].model_copy(update={"code_known": False})


def both(first: Change, second: Change) -> Change:
    return lambda graph: [change(graph) for change in (first, second)]


GAP, NO_DATA, COVERED, NOTHING = Cover.GAP, Cover.NO_DATA, Cover.COVERED, Cover.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("change", "column", "cover", "gaps"),
    [
        (lambda _: None, Column.CODE, COVERED, ()),
        (orphan(FEATURE), Column.EPIC, GAP, (Gap.NO_EPIC,)),
        (orphan(NEED), Column.FEATURE, GAP, (Gap.NO_FEATURE,)),
        (lambda graph: graph.hide(FEATURE), Column.FEATURE, NO_DATA, ()),
        (lambda graph: graph.hide(EPIC), Column.EPIC, NO_DATA, ()),
        (lambda graph: setattr(graph, "shape", shape_of("Basic")), Column.REQUIREMENT, None, ()),
        (orphan(TASK), Column.WORK, GAP, (Gap.NO_WORK,)),
        (lambda graph: graph.hide(TASK), Column.WORK, NO_DATA, ()),
        (no_code, Column.CODE, GAP, (Gap.NO_CODE,)),
        (no_code, Column.BUILD, NOTHING, ()),
        (no_code, Column.REVIEW, COVERED, ()),
        (read_later, Column.CODE, NO_DATA, ()),
        (read_later, Column.BUILD, NO_DATA, ()),
        (told(status="active"), Column.CODE, GAP, (Gap.NOT_MERGED,)),
        (lambda graph: graph.requests.clear(), Column.CODE, NO_DATA, ()),
        (lambda graph: graph.requests.clear(), Column.BUILD, NO_DATA, ()),
        (lambda graph: graph.builds.clear(), Column.BUILD, GAP, (Gap.NOT_BUILT,)),
        (ended("inProgress", ""), Column.BUILD, COVERED, ()),
        (ended("completed", "failed"), Column.BUILD, GAP, (Gap.BUILD_FAILED,)),
        (
            lambda graph: graph.code[TASK].append(CodeLink(kind=CodeKind.BUILD, name="99")) or graph.builds.clear(),
            Column.BUILD,
            NO_DATA,
            (),
        ),
        (unlink(LinkKind.TESTED_BY), Column.TEST, GAP, (Gap.NO_TEST,)),
        (unlink(LinkKind.TESTED_BY), Column.OUTCOME, NOTHING, ()),
        (lambda graph: graph.hide(CASE), Column.TEST, NO_DATA, ()),
        (lambda graph: graph.hide(CASE), Column.OUTCOME, NO_DATA, ()),
        (lambda graph: graph.outcomes.clear(), Column.OUTCOME, GAP, (Gap.NEVER_RUN,)),
        (
            lambda graph: graph.outcomes.update({CASE: OutcomeTold(case=CASE, outcome="failed")}),
            Column.OUTCOME,
            GAP,
            (Gap.TEST_FAILED,),
        ),
        (state(REVIEW, "Active"), Column.REVIEW, GAP, (Gap.REVIEW_OPEN,)),
        (told(approvals=0), Column.REVIEW, GAP, (Gap.NOT_APPROVED,)),
        (both(unlink(LinkKind.RELATED), no_code), Column.REVIEW, GAP, (Gap.NO_REVIEW,)),
        (both(lambda graph: graph.hide(REVIEW), no_code), Column.REVIEW, NO_DATA, ()),
        (unlink(LinkKind.AFFECTS), Column.CHANGE, NOTHING, ()),
        (lambda graph: graph.hide(CHANGE), Column.CHANGE, NO_DATA, ()),
        (state(CHANGE, "Active"), Column.CHANGE, GAP, (Gap.CHANGE_OPEN,)),
    ],
)
def test_a_change_of_the_graph_is_seen_in_its_cell(
    change: Change, column: Column, cover: Cover | None, gaps: tuple[Gap, ...]
) -> None:
    graph = full()
    assert [row.gaps for row in graph.rows().values()] == [()]
    change(graph)
    row = graph.rows([NEED]).get(NEED)
    if cover is None:
        assert row is None, "a process without the type has no row for it"
        return
    assert row
    assert (row.cells[column].cover, row.cells[column].gaps) == (cover, gaps)


def test_code_on_the_requirement_itself_needs_no_task() -> None:
    graph = full()
    orphan(TASK)(graph)
    graph.code = {NEED: [commit(SHA)]}
    cells = graph.rows([NEED])[NEED].cells
    assert cells[Column.WORK].cover is cells[Column.BUILD].cover is COVERED
    assert [one.name for one in cells[Column.CODE].entries] == [SHA[:8]]


def test_a_link_without_direction_is_one_whichever_end_tells_it() -> None:
    ends = (LinkTold(kind=LinkKind.RELATED, source=2, target=1), LinkTold(kind=LinkKind.CHILD, source=2, target=1))
    came, gone = settled_links(ends)
    assert [(one.source, one.target) for one in came] == [(1, 2), (2, 1)]
    assert gone == []


def test_work_below_work_counts_and_what_was_removed_has_no_row() -> None:
    graph = full()
    graph.add(10, "Bug", parent=TASK)
    graph.add(11, "Requirement", "Removed")
    assert [one.item for one in graph.rows()[NEED].cells[Column.WORK].entries] == [TASK, 10]
    assert set(graph.rows()) == {NEED}


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("Epic", Role.EPIC),
        ("Feature", Role.FEATURE),
        ("Task", Role.WORK),
        ("Test Case", Role.TEST),
        ("Review", Role.REVIEW),
        ("Change Request", Role.CHANGE),
    ],
)
def test_what_belongs_to_no_requirement_has_a_row_that_says_so(kind: str, role: Role) -> None:
    graph = Graph()
    graph.add(5, kind)
    row = graph.rows()[5]
    assert (row.role, row.cells[Column.REQUIREMENT].gaps) == (role, (Gap.NO_REQUIREMENT,))
    column = Column(role.value)
    assert [one.item for one in row.cells[column].entries] == [5]
    graph.hide(6)
    kinds = {Role.TEST: LinkKind.TESTED_BY, Role.REVIEW: LinkKind.RELATED, Role.CHANGE: LinkKind.AFFECTS}
    ends = (6, 5) if role is Role.WORK else (5, 6)
    graph.links.append(LinkTold(kind=kinds.get(role, LinkKind.CHILD), source=ends[0], target=ends[1]))
    assert graph.rows([5])[5].cells[Column.REQUIREMENT].cover is NO_DATA


def test_what_could_not_be_read_for_a_whole_project_is_no_data() -> None:
    graph = full()
    graph.builds.clear()
    (row,) = rows(graph.around([NEED]), {Column.BUILD, Column.OUTCOME})
    assert set(row.unknown) == {Column.BUILD, Column.OUTCOME}
    told = counted(counted(MatrixCoverage(), row), full().rows()[NEED])
    assert (told.rows, told.complete) == (2, 1)
    assert of_column(told, Column.BUILD) == (1, 0, 1)
    assert (share(1, 3), share(0, 0)) == (25.0, None)


@pytest.mark.parametrize(
    ("process", "levels", "role"),
    [
        ("CMMI", (), Role.REQUIREMENT),
        ("Agile", (), None),
        ("Ours", [["Epic"], ["Feature"], ["Requirement", "Wish"], ["Task", "Risk", "Review"]], Role.REQUIREMENT),
        ("Ours", [["Requirement"]], None),
    ],
)
def test_roles_are_those_of_the_process_or_of_a_teams_levels(
    process: str, levels: list[list[str]], role: Role | None
) -> None:
    shape = shape_of(process, levels)
    assert (shape.roles.get("Requirement") if shape else None) is role
    if levels and shape:
        assert (shape.roles.get("Wish"), shape.roles.get("Risk")) == (Role.REQUIREMENT, None)
        assert shape.roles["Review"] is Role.REVIEW


LINKS = st.builds(
    LinkTold,
    kind=st.sampled_from(LinkKind),
    source=st.integers(1, 3),
    target=st.integers(1, 3),
    active=st.booleans(),
)


@given(st.lists(LINKS, max_size=12))
@settings(max_examples=40)
def test_the_last_word_on_a_link_stands_however_often_a_stream_is_told(told: list[LinkTold]) -> None:
    model: dict[tuple[LinkKind, int, int], bool] = {}
    for one in told:
        ends = sorted((one.source, one.target)) if one.kind is LinkKind.RELATED else (one.source, one.target)
        model[one.kind, ends[0], ends[1]] = one.active
    came, gone = settled_links(told)
    assert {(one.kind, one.source, one.target) for one in came} == {key for key, active in model.items() if active}
    assert {(one.kind, one.source, one.target) for one in gone} == {key for key, active in model.items() if not active}
    assert settled_links([*told, *told]) == (came, gone)


def test_the_latest_outcome_of_a_case_stands_in_whichever_order_it_is_told() -> None:
    old = OutcomeTold(case=1, outcome="failed", run=3, at=datetime(2026, 1, 1, tzinfo=UTC))
    new = OutcomeTold(case=1, outcome="passed", run=2, at=datetime(2026, 2, 1, tzinfo=UTC))
    without = OutcomeTold(case=1, outcome="failed", run=9)
    assert latest_outcomes([old, new, without]) == latest_outcomes([without, new, old]) == {1: new}


KINDS = ("Epic", "Feature", "Requirement", "Task", "Bug", "Test Case", "Review", "Change Request", "Risk")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Items of any type, each below an earlier one or none, with links and code of any kind between them."""
    graph = Graph()
    count = draw(st.integers(1, 9))
    for item_id in range(1, count + 1):
        parent = draw(st.integers(0, item_id - 1))
        graph.add(item_id, draw(st.sampled_from(KINDS)), draw(st.sampled_from(("Active", "Closed"))), parent)
        if draw(st.booleans()):
            graph.code[item_id] = [draw(st.sampled_from((request(1), request(2), commit(SHA), commit("cd" * 20))))]
    for link in draw(st.lists(LINKS.filter(lambda one: one.kind is not LinkKind.CHILD), max_size=6)):
        if max(link.source, link.target) <= count:
            graph.links.append(link)
    graph.requests["1"] = RequestTold(number=1, status="completed", approvals=1, commits=(SHA,))
    graph.requests["2"] = RequestTold(number=2, status="active")
    graph.builds["7"] = BuildTold(id=7, status="completed", result="succeeded", commit=SHA)
    return graph


@given(graphs(), st.data())
@settings(max_examples=25)
def test_rows_are_the_same_in_pages_of_any_size(graph: Graph, data: st.DataObject) -> None:
    wanted = graph.standing()
    cut = data.draw(st.integers(0, len(wanted)))
    assert graph.rows(wanted[:cut]) | graph.rows(wanted[cut:]) == graph.rows()


@given(graphs())
@settings(max_examples=25)
def test_all_work_is_in_a_row_and_in_that_of_each_requirement_above(graph: Graph) -> None:
    found = graph.rows()
    parents = {one.target: one.source for one in graph.links if one.kind is LinkKind.CHILD}
    for item_id in (one for one in graph.standing() if graph.role(one) is Role.WORK):
        inside = {row for row, told in found.items() if item_id in _items(told.cells[Column.WORK].entries)}
        top = item_id
        while graph.role(top) is Role.WORK and graph.role(parents.get(top, 0) or top) in (Role.WORK, Role.REQUIREMENT):
            if top not in parents:
                break
            top = parents[top]
        assert inside == {top}


def _items(entries: tuple[object, ...]) -> set[int]:
    return {one.item for one in entries if isinstance(one, type(full().rows()[NEED].subject))}


@given(graphs())
@settings(max_examples=25)
def test_a_cell_has_a_gap_where_it_says_so_and_nowhere_else(graph: Graph) -> None:
    for row in graph.rows().values():
        assert set(row.cells) == set(Column)
        for cell in row.cells.values():
            assert bool(cell.gaps) is (cell.cover is GAP)
            assert cell.cover is not NOTHING or not cell.entries


OWN = {(Column.CODE, Gap.NO_CODE), (Column.BUILD, Gap.NOT_BUILT), (Column.OUTCOME, Gap.NEVER_RUN)}
ABSENT = {one for one in Gap if one.value.startswith("no_")} | {Gap.NOT_BUILT, Gap.NEVER_RUN}


@given(graphs(), st.data())
@settings(max_examples=40)
def test_what_may_not_be_seen_is_never_called_missing(graph: Graph, data: st.DataObject) -> None:
    before = graph.rows()
    hidden = data.draw(st.sampled_from(graph.standing()))
    graph.hide(hidden)
    graph.code.pop(hidden, None)
    for subject, row in graph.rows().items():
        missing = {one for one in row.gaps if one[1] in ABSENT}
        known = set(before[subject].gaps) if subject in before else OWN  # work of a requirement that is hidden
        assert missing <= known, f"{subject} without {hidden}"


def test_an_item_that_nothing_is_kept_of_is_hidden() -> None:
    graph = Graph()
    graph.add(NEED, "Requirement")
    graph.links.append(child(99, NEED))
    row = graph.rows([NEED])[NEED]
    assert row.unknown == (Column.EPIC, Column.FEATURE)
    assert MatrixItem(id=1).type == ""
