"""The traceability matrix of a project in the stand-in: each column filled, each gap named, what changed read again.

All that only looks shares one project.
"""

import asyncio
import csv
import io
import json
import re
import shlex
import shutil
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import pytest_asyncio

from pointsman.clients.azure_devops.patches import remove_relation, set_field
from pointsman.contracts.matrix import Column, Cover, Gap, MatrixPhase, MatrixRow, Role
from pointsman.ports import Missing, Unavailable
from pointsman.store.engine import Store
from pointsman.store.matrix import MatrixGraph
from pointsman.store.sqlite import StoreInUse
from starter.cli.app import run
from starter.cli.errors import CliError, ExitCode
from starter.cli.matrix import Wanted
from starter.cli.matrix_forms import HEAD
from starter.matrix import refresh, serving
from tests.docs.blocks import ROOT, blocks
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops
from tests.sandbox.traced import PROJECT, TESTED_BY, Traced, traced, traced_config
from tests.starter.matrix_rig import SCOPE, Matrix, asked, names, tree_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

XLSX = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(of=traced_config()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made(azure: Azure) -> Traced:
    return await traced(azure)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def matrix(made: Traced, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Matrix]:
    """The shared project, read once."""
    path = tmp_path_factory.mktemp("matrix") / "matrix.db"
    shutil.copy(migrated_file, path)
    async with Store.open(f"sqlite:///{path}") as store:
        found = Matrix(made, MatrixGraph(store))
        await found.read()
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def small(migrated_file: Path, tmp_path: Path) -> AsyncGenerator[Matrix]:
    """A project of its own: a requirement with a feature, a task and a test case; to be changed."""
    shutil.copy(migrated_file, tmp_path / "matrix.db")
    async with azure_devops(of=traced_config()) as azure, Store.open(f"sqlite:///{tmp_path}/matrix.db") as store:
        made = Traced(azure)
        await made.make("feature", "Feature")
        await made.make("need", "Requirement", "feature")
        await made.make("task", "Task", "need")
        await made.make("case", "Test Case")
        await made.link("need", TESTED_BY, "case")
        yield Matrix(made, MatrixGraph(store))


async def test_a_requirement_that_lacks_nothing_has_every_column(matrix: Matrix) -> None:
    row, ids = (await matrix.rows())["full"], matrix.made.ids
    assert {cell.cover for cell in row.cells.values()} == {Cover.COVERED}
    assert [names(row, column) for column in (Column.EPIC, Column.FEATURE, Column.WORK, Column.TEST)] == [
        [str(ids[name])] for name in ("epic", "feature", "full-task", "full-case")
    ]
    assert names(row, Column.CODE) == ["PR 1"]
    assert [one.told for one in row.cells[Column.BUILD].entries] == ["succeeded"]
    assert [one.told for one in row.cells[Column.OUTCOME].entries] == ["passed"]
    assert names(row, Column.REVIEW) == [str(ids["full-review"]), "PR 1"]
    assert names(row, Column.CHANGE) == [str(ids["full-change"])]


async def test_each_gap_is_named_where_it_is(matrix: Matrix) -> None:
    rows = await matrix.rows()
    found = {(name, column, gap) for name, row in rows.items() for column, gap in row.gaps}
    assert {gap for _, _, gap in found} == set(Gap)
    assert {one for one in found if one[0] not in ("bare", "lone-task")} == {
        ("open", Column.EPIC, Gap.NO_EPIC),
        ("open", Column.CODE, Gap.NOT_MERGED),
        ("open", Column.BUILD, Gap.NOT_BUILT),
        ("open", Column.OUTCOME, Gap.NEVER_RUN),
        ("open", Column.REVIEW, Gap.NO_REVIEW),
        ("unbuilt", Column.BUILD, Gap.NOT_BUILT),
        ("unbuilt", Column.OUTCOME, Gap.TEST_FAILED),
        ("unbuilt", Column.REVIEW, Gap.REVIEW_OPEN),
        ("hasty", Column.BUILD, Gap.BUILD_FAILED),
        ("hasty", Column.REVIEW, Gap.NOT_APPROVED),
        ("hasty", Column.CHANGE, Gap.CHANGE_OPEN),
        ("lone-epic", Column.REQUIREMENT, Gap.NO_REQUIREMENT),
        ("lone-feature", Column.EPIC, Gap.NO_EPIC),
        ("lone-feature", Column.REQUIREMENT, Gap.NO_REQUIREMENT),
        ("lone-case", Column.REQUIREMENT, Gap.NO_REQUIREMENT),
        ("lone-case", Column.OUTCOME, Gap.NEVER_RUN),
        ("lone-review", Column.REQUIREMENT, Gap.NO_REQUIREMENT),
        ("lone-change", Column.REQUIREMENT, Gap.NO_REQUIREMENT),
    }
    assert {gap for _, gap in rows["bare"].gaps} == {
        *(Gap.NO_EPIC, Gap.NO_FEATURE, Gap.NO_WORK, Gap.NO_CODE, Gap.NO_TEST, Gap.NO_REVIEW)
    }
    assert rows["lone-task"].role is Role.WORK


async def test_what_a_commit_serves_is_found_through_links_and_pull_requests(matrix: Matrix) -> None:
    made, graph = matrix.made, matrix.graph
    assert await serving(graph, "fabrikam", made.commits["unbuilt"]) == [made.ids["unbuilt"]]
    for commit in (made.commits["full-task/first"], made.commits["full-task"]):
        assert await serving(graph, "fabrikam", commit) == [made.ids["full-task"]]
    assert await matrix.rows_for("full-task") == ["full"]
    assert await graph.commits_like("fabrikam", made.commits["unbuilt"][:9].upper()) == [made.commits["unbuilt"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("epic", ["full", "unbuilt", "hasty"]),
        ("low", ["open"]),
        ("bare", ["bare"]),
        ("full-case", ["full"]),
        ("full-review", ["full"]),
        ("hasty-change", ["hasty"]),
        ("lone-epic", ["lone-epic"]),
        ("lone-task", ["lone-task"]),
        ("lone-case", ["lone-case"]),
    ],
)
async def test_rows_are_found_from_any_item_in_them(matrix: Matrix, asked: str, found: list[str]) -> None:
    assert await matrix.rows_for(asked) == found


async def test_a_second_reading_reads_what_changed_and_the_rows_follow(small: Matrix) -> None:
    made, azure = small.made, small.made.azure
    first = await small.read()
    assert (first[MatrixPhase.ITEMS], first[MatrixPhase.LINKS]) == (4, 3)
    assert await small.read() == {}
    await azure.person.work_items.patch(made.ids["case"], [set_field("System.Title", "Another title")])
    held = (await azure.person.work_items.get(made.ids["need"])).relations
    (place,) = [number for number, one in enumerate(held) if one.rel.endswith("Hierarchy-Forward")]
    await azure.person.work_items.patch(made.ids["need"], [remove_relation(place)])
    second = await small.read()
    assert (second[MatrixPhase.ITEMS], second[MatrixPhase.LINKS]) == (1, 1)
    rows = await small.rows()
    assert [one.title for one in rows["need"].cells[Column.TEST].entries] == ["Another title"]
    assert rows["need"].cells[Column.WORK].gaps == (Gap.NO_WORK,)
    assert rows["task"].cells[Column.REQUIREMENT].gaps == (Gap.NO_REQUIREMENT,)
    await azure.person.work_items.delete(made.ids["task"])
    assert (await small.read())[MatrixPhase.ITEMS] == 1
    assert set(await small.rows()) == {"need"}


async def test_code_that_came_since_and_what_became_of_it_are_found(small: Matrix) -> None:
    made = small.made
    await small.read()
    await made.begin_code()
    await made.request("task", merged=False)
    counts = await small.read()
    assert (counts[MatrixPhase.TOUCHED], counts[MatrixPhase.REQUESTS]) == (1, 1)
    assert (await small.rows())["need"].cells[Column.CODE].gaps == (Gap.NOT_MERGED,)
    requests = made.azure.person.pull_requests
    tip = (await requests.get(PROJECT, 1)).last_merge_source_commit
    assert tip
    await requests.complete(PROJECT, PROJECT, 1, tip.commit_id)
    await small.read()
    assert (await small.rows())["need"].cells[Column.CODE].cover is Cover.COVERED
    await made.run({"case": "Passed"})
    await small.read()
    assert (await small.rows())["need"].cells[Column.OUTCOME].cover is Cover.COVERED
    await made.run({"case": "Failed"})
    await small.read()
    assert (await small.rows())["need"].cells[Column.OUTCOME].gaps == (Gap.TEST_FAILED,)


async def test_a_reading_that_breaks_off_goes_on_from_there(small: Matrix) -> None:
    await small.made.azure.fail(path="workitemlinks", status=503)
    with pytest.raises(Unavailable):
        await small.read()
    mark = await small.graph.mark("fabrikam", PROJECT)
    assert mark
    assert (mark.since, bool(mark.items_token), mark.links_token) == (None, True, "")
    counts = await small.read()
    assert MatrixPhase.ITEMS not in counts
    assert counts[MatrixPhase.LINKS] == 3
    assert "need" in await small.rows()


async def test_what_is_gone_for_good_is_gone_after_a_reading_of_everything(small: Matrix) -> None:
    await small.read()
    items = small.made.azure.world.items["fabrikam"]
    gone = items.pop(small.made.ids["task"])
    for item in items.values():
        item.relations = [one for one in item.relations if one.target != gone.id]
        for update in item.updates:
            update.added = [one for one in update.added if one.target != gone.id]
    assert await small.read() == {}
    await small.read(whole=True)
    rows = await small.rows()
    assert rows["need"].cells[Column.WORK].gaps == (Gap.NO_WORK,)
    assert await small.graph.items("fabrikam", [gone.id]) == []


async def test_what_may_not_be_read_is_no_data_and_never_covered(small: Matrix) -> None:
    made, azure = small.made, small.made.azure
    await made.begin_code()
    await made.request("task")
    await made.commit("need")
    for path in ("testplan/", "testresults/", "build/builds", "git/pullrequests"):
        await azure.fail(path=path, status=403, body='{"message": "TF400813: not allowed"}', times=50)
    await small.read()
    row = (await small.rows())["need"]
    assert row.cells[Column.OUTCOME].cover is row.cells[Column.BUILD].cover is Cover.NO_DATA
    assert [one.told for one in row.cells[Column.CODE].entries] == ["not to be seen", "commit"]
    assert {Column.OUTCOME, Column.BUILD, Column.REVIEW} == set(row.unknown)
    await azure.control("POST", "clear")
    await small.read()
    row = (await small.rows())["need"]
    assert row.cells[Column.BUILD].gaps == (Gap.NOT_BUILT,)
    assert row.cells[Column.OUTCOME].gaps == (Gap.NEVER_RUN,)


async def test_a_project_that_is_not_there_is_missing(matrix: Matrix) -> None:
    scope = SCOPE.model_copy(update={"project": "Nowhere"})
    with pytest.raises(Missing):
        async for _ in refresh(matrix.reading, scope):
            pass


FABRIKAM = Wanted(project=PROJECT, kept=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def folder(made: Traced, tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Where the command keeps the matrix, which it has read once."""
    found = tmp_path_factory.mktemp("data")
    shutil.copy(migrated_file, found / "pointsman-matrix.db")
    code, printed, talk = await asked(made.azure, found, replace(FABRIKAM, kept=False))
    assert (code, len(printed.splitlines())) == (ExitCode.OK, 11)
    assert "items that changed: 25" in talk
    return found


async def test_the_table_has_a_line_for_each_row(made: Traced, folder: Path) -> None:
    code, printed, talk = await asked(made.azure, folder, FABRIKAM)
    lines = [line.split("\t") for line in printed.splitlines()]
    assert (code, len(lines), len(lines[0])) == (ExitCode.OK, 11, len(Column) + 2)
    assert "gap: no feature" in next(line for line in lines if line[0] == str(made.ids["bare"]))
    assert talk.startswith("11 rows, 1 without any gap")
    code, printed, talk = await asked(made.azure, folder, replace(FABRIKAM, gaps=True))
    assert (code, len(printed.splitlines())) == (ExitCode.FINDINGS, 10)


async def test_what_is_kept_can_be_shown_while_another_command_reads(made: Traced, folder: Path) -> None:
    async with Store.open(f"sqlite:///{folder}/pointsman-matrix.db"):
        assert (await asked(made.azure, folder, FABRIKAM))[0] == ExitCode.OK
        with pytest.raises(StoreInUse):
            await asked(made.azure, folder, replace(FABRIKAM, kept=False))


async def test_csv_takes_nothing_for_a_formula(made: Traced, folder: Path) -> None:
    _, printed, _ = await asked(made.azure, folder, replace(FABRIKAM, format="csv"))
    head, *rows = csv.reader(io.StringIO(printed.removeprefix("\ufeff")))
    assert tuple(head) == HEAD
    found = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert found[str(made.ids["lone-epic"])]["title"] == "'=1+1 <b>lone-epic</b>"
    bare = found[str(made.ids["bare"])]
    assert (bare["work"], bare["work flag"], bare["change flag"]) == ("", "gap: no work", "n/a")


async def test_json_is_one_document_with_all_that_is_known(made: Traced, folder: Path) -> None:
    _, printed, _ = await asked(made.azure, folder, FABRIKAM, as_json=True)
    told = json.loads(printed)["matrix"]
    assert (told["project"], told["process"], told["coverage"]["rows"]) == (PROJECT, "CMMI", 11)
    assert len(told["rows"]) == 11
    (full,) = [MatrixRow.model_validate(row) for row in told["rows"] if row["subject"]["item"] == made.ids["full"]]
    assert full.gaps == ()


async def test_excel_has_text_and_numbers_only(made: Traced, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "matrix.xlsx"
    await asked(made.azure, folder, replace(FABRIKAM, format="xlsx", output=str(target)))
    with ZipFile(target) as book:
        sheets = [tree_of(book.read(f"xl/worksheets/sheet{number}.xml")) for number in (1, 2)]
        assert not [name for name in book.namelist() if "external" in name.lower()]
    assert not [one for sheet in sheets for one in sheet.iter(f"{XLSX}f")]
    texts = [one.text for one in sheets[0].iter(f"{XLSX}t")]
    assert "=1+1 <b>lone-epic</b>" in texts
    assert texts[: len(HEAD)] == list(HEAD)
    assert len(list(sheets[0].iter(f"{XLSX}row"))) == 12
    assert len(list(sheets[1].iter(f"{XLSX}row"))) == len(Column) + 1


async def test_the_page_loads_nothing_runs_nothing_and_escapes_what_others_wrote(made: Traced, folder: Path) -> None:
    _, printed, _ = await asked(made.azure, folder, replace(FABRIKAM, format="html"))
    assert "&lt;b&gt;lone-epic&lt;/b&gt;" in printed
    assert "<b>" not in printed
    assert not re.search(r"<script|<link|<img|@import|url\(|\son\w+=|\sstyle=", printed)
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in printed
    assert printed.count('<tr class="whole">') == 1
    assert f'{made.azure.base_url}/_workitems/edit/{made.ids["full"]}"' in printed
    body = printed.partition("<body>")[2].replace("<br>", "").replace('<input type="checkbox" id="only">', "")
    tree = tree_of(f"<body>{body.partition('</body>')[0]}</body>".encode())
    region = tree.find(".//div[@role='region']")
    assert region is not None
    assert region.get("tabindex") == "0"
    assert {one.get("scope") for one in tree.iter("th")} == {"col", "row"}


async def test_both_directions_are_asked_on_the_command_line(made: Traced, folder: Path) -> None:
    commit = made.commits["full-task"][:10]
    _, printed, _ = await asked(made.azure, folder, replace(FABRIKAM, serves=commit))
    lines = [line.split("\t")[:3] for line in printed.splitlines()]
    row = str(made.ids["full"])
    assert [row, "requirement", row] in lines
    assert [row, "epic", str(made.ids["epic"])] in lines
    _, printed, _ = await asked(made.azure, folder, Wanted(proves=made.ids["bare"], kept=True), as_json=True)
    links = json.loads(printed)["links"]
    assert {(one["column"], one["told"]) for one in links if not one["name"]} >= {("test", "no test")}


async def test_the_page_about_the_matrix_can_be_followed(
    made: Traced, folder: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the page, with a commit and an item that are there."""
    shutil.copy(migrated_file, folder / "pointsman.db")
    there = {"4f2c9e1": made.commits["full-task"][:9], "42": str(made.ids["full"])}
    for name, value in (
        *(("AZURE_DEVOPS_URL", made.azure.base_url), ("AZURE_DEVOPS_TOKEN", SERVICE_TOKEN)),
        *(("DATA_DIR", str(folder)), ("CONFIG_FILE", "")),
    ):
        monkeypatch.setenv(f"POINTSMAN_{name}", value)
    monkeypatch.delenv("POINTSMAN_CONFIG_FILE")
    monkeypatch.chdir(folder)
    lines = [
        line for block in blocks(ROOT / "docs" / "traceability.md") for line in block.text.splitlines() if block.how
    ]
    assert len(lines) == 10
    for line in lines:
        words = [there.get(word, word) for word in shlex.split(line, comments=True)[1:]]
        code = await asyncio.to_thread(run, [*words, "--quiet"])
        assert code == (ExitCode.FINDINGS if "--gaps" in words else ExitCode.OK), line
    written = {path.name for path in folder.iterdir()}  # noqa: ASYNC240 - a folder of a few files
    assert written >= {"matrix.xlsx", "matrix.csv", "matrix.json", "matrix.html", "report.html"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(), "Name a project"),
        (Wanted(project=PROJECT, format="pdf"), "There is no format 'pdf'; there are: table, csv, json, html, xlsx"),
        (Wanted(project=PROJECT, format="xlsx"), "Excel goes into a file"),
        (Wanted(project=PROJECT, output="x"), "A table is for reading here"),
        (Wanted(project=PROJECT, serves="main"), "'main' is no commit"),
        (Wanted(project=PROJECT, serves="0" * 40, kept=True), "names the commit"),
        (Wanted(project=PROJECT, serves="abcdef0", proves=1), "not both"),
        (Wanted(project="Nowhere"), "There is no project 'Nowhere'"),
        (Wanted(project="Other", kept=True), "Nothing is kept of 'Other'"),
        (Wanted(project=PROJECT, process="waterfall"), "There is no process 'waterfall'"),
        (Wanted(proves=9_999), "There is no item 9999"),
    ],
)
async def test_what_cannot_be_shown_is_told(made: Traced, folder: Path, wanted: Wanted, told: str) -> None:
    with pytest.raises(CliError, match=re.escape(told)):
        await asked(made.azure, folder, wanted)


async def test_two_formats_are_refused(made: Traced, folder: Path) -> None:
    with pytest.raises(CliError, match="--json and --format csv are two formats"):
        await asked(made.azure, folder, Wanted(project=PROJECT, format="csv"), as_json=True)
