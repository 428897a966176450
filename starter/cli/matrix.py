"""The traceability matrix on the command line: read what changed, then shown or written row by row."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from sqlalchemy import make_url

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.matrix_facts import MatrixReader
from pointsman.config import Settings
from pointsman.contracts.matrix import (
    Column,
    MatrixCoverage,
    MatrixMark,
    MatrixPhase,
    MatrixProgress,
    MatrixRow,
    MatrixScope,
    MatrixShape,
)
from pointsman.contracts.process import ProcessPolicy
from pointsman.domain.loose import string
from pointsman.domain.matrix.coverage import counted
from pointsman.domain.matrix.shapes import shape_of
from pointsman.domain.process.rulebooks import rules_for
from pointsman.domain.routing import tenant_of
from pointsman.domain.words import how_many
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Missing
from pointsman.ports_matrix import MatrixGraph as Graph
from pointsman.store import schema, sqlite
from pointsman.store.engine import Store
from pointsman.store.matrix import MatrixGraph
from starter.cli.beside import client_beside
from starter.cli.call import Call
from starter.cli.choices import one_format
from starter.cli.context import policy
from starter.cli.errors import CliError, ExitCode, folder_must_exist, not_found, usage
from starter.cli.matrix_forms import About, Csv, Excel, Form, Json, flag, replaced, words
from starter.cli.matrix_page import Page
from starter.cli.organisations import chosen, no_project, patient
from starter.cli.output import Listing, Record
from starter.matrix import all_rows, refresh, rows_for, serving
from starter.matrix_reading import MatrixReading

COMMAND = "pointsman process matrix"
COMMIT = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
FORMS: Mapping[str, Callable[[TextIO], Form]] = {"csv": Csv, "json": Json, "html": Page}
FORMATS = ("table", *FORMS, "xlsx")
SAY_EACH = 1_000
COLUMNS = ("row", *map(str, Column), "title")
LINKS = ("row", "column", "name", "told", "flag", "title")
SAID = {
    MatrixPhase.ITEMS: "items that changed",
    MatrixPhase.LINKS: "links between items that came or went",
    MatrixPhase.STRANGERS: "items of other projects that are linked to",
    MatrixPhase.TOUCHED: "items that fresh code names",
    MatrixPhase.CODE: "items looked through for links to code",
    MatrixPhase.REQUESTS: "pull requests",
    MatrixPhase.BUILDS: "builds",
    MatrixPhase.OUTCOMES: "outcomes of test cases",
}


@dataclass(frozen=True)
class Wanted:
    project: str = ""
    organisation: str = ""
    process: str = ""
    format: str = "table"
    output: str = ""
    gaps: bool = False
    serves: str = ""
    proves: int = 0
    whole: bool = False
    kept: bool = False

    @property
    def asks(self) -> bool:
        """About a commit or an item, and not for the whole matrix."""
        return bool(self.serves or self.proves)


@dataclass
class Matrix:
    """A project's matrix as it is kept, and what was counted of it while rows went by."""

    graph: Graph
    scope: MatrixScope
    shape: MatrixShape
    mark: MatrixMark
    about: About
    coverage: MatrixCoverage = field(default_factory=MatrixCoverage)

    async def rows(self, wanted: Wanted) -> AsyncGenerator[MatrixRow]:
        """Those that are asked for. All that are in what was asked are counted, with `--gaps` the others, too."""
        async with aclosing(self._asked(wanted)) as asked:
            async for row in asked:
                self.coverage = counted(self.coverage, row)
                if not wanted.gaps or row.gaps or row.unknown:
                    yield row

    async def _asked(self, wanted: Wanted) -> AsyncGenerator[MatrixRow]:
        if not wanted.asks:
            async with aclosing(all_rows(self.graph, self.scope, self.shape, self.mark.unknown)) as found:
                async for row in found:
                    yield row
            return
        organisation = self.scope.organisation
        ids = [wanted.proves] if wanted.proves else await self._served(wanted.serves)
        for row in await rows_for(self.graph, organisation, self.shape, ids, self.mark.unknown):
            yield row

    async def _served(self, begin: str) -> Sequence[int]:
        organisation = self.scope.organisation
        found = await self.graph.commits_like(organisation, begin)
        if not found:
            raise not_found(
                f"No item, pull request or build that was read names the commit {begin!r}.", f"{COMMAND} --help"
            )
        if len(found) > 1:
            raise usage(f"{begin!r} is not one commit but {len(found)}: {', '.join(found[:5])}.", "Write more of it.")
        return await serving(self.graph, organisation, found[0])


async def show(call: Call, settings: Settings, wanted: Wanted) -> ExitCode:
    """Read what changed, then print or write the rows. 9 where gaps were asked for and are there."""
    form = one_format(wanted.format, "table", as_json=call.out.as_json, hint=f"{COMMAND} --help")
    if not wanted.asks:
        wanted = replace(wanted, format=form)
    _check(wanted)
    async with opened(call, settings, wanted) as matrix:
        if wanted.format == "table":
            await _print(call, matrix, wanted)
        else:
            await _write(call, matrix, wanted)
        told = matrix.coverage
    call.out.say(
        f"{how_many(told.rows, 'row')}, {told.complete} without any gap, {how_many(sum(told.gaps.values()), 'gap')}"
    )
    return ExitCode.FINDINGS if wanted.gaps and told.gaps else ExitCode.OK


def _check(wanted: Wanted) -> None:
    if wanted.format not in FORMATS:
        raise usage(f"There is no format {wanted.format!r}; there are: {', '.join(FORMATS)}.", f"{COMMAND} --help")
    if wanted.serves and wanted.proves:
        raise usage("Ask for a commit or for an item: --serves or --proves, not both.", f"{COMMAND} --help")
    if wanted.serves and not COMMIT.fullmatch(wanted.serves):
        raise usage(
            f"--serves {wanted.serves!r} is no commit: write at least 7 hexadecimal digits.",
            "See them: git log --oneline",
        )
    if not wanted.project and not wanted.proves:
        raise usage("Name a project: --project NAME.", f"{COMMAND} --help")
    if wanted.output:
        folder_must_exist(Path(wanted.output))
    if wanted.format == "xlsx" and not wanted.output:
        raise usage("Excel goes into a file: --output matrix.xlsx.", f"{COMMAND} --help")
    if wanted.output and wanted.format == "table":
        raise usage("A table is for reading here. Write another format: --format csv, json, xlsx or html.", COMMAND)


@asynccontextmanager
async def opened(call: Call, settings: Settings, wanted: Wanted) -> AsyncIterator[Matrix]:
    """The project's matrix, up to date unless what is kept will do.

    Raises:
        CliError: there is no such project, or nobody knows its process.
        StoreInUse: another command reads a matrix at this moment.
    """
    place = chosen(settings, wanted.organisation, COMMAND)
    async with client_beside(settings, place) as prompt, await asyncio.to_thread(_open, settings, wanted.kept) as store:
        client = patient(call, prompt)
        project = wanted.project or await _project_of(client, wanted.proves)
        shape = await _shape(client.in_bulk(), settings, project, wanted.process)
        tenant = tenant_of(policy(settings), place.name)
        scope = MatrixScope(tenant=tenant, organisation=place.name, project=project, whole=wanted.whole)
        graph = MatrixGraph(store)
        if not wanted.kept:
            await _read(call, MatrixReading(MatrixReader({place.name: client}), graph), scope)
        mark = await graph.mark(place.name, project)
        if mark is None:
            raise not_found(f"Nothing is kept of {project!r}.", f"{COMMAND} --project {project}")
        about = About(place.name, project, shape.process, mark.until or mark.since, client.base_url)
        yield Matrix(graph, scope, shape, mark, about)


def _open(settings: Settings, kept: bool) -> Store:
    """A file of its own is made and brought up to date; our database is not: that is for `pointsman db upgrade`.

    What is only looked at is open read-only, beside whoever reads at this moment.
    """
    url = place_of(settings)
    is_own = url != settings.database_url.get_secret_value()
    if kept and (not is_own or schema.current(url) == schema.head()):
        return Store.open(url, read_only=True)
    if is_own:
        schema.upgrade(url)
    return Store.open(url)


def place_of(settings: Settings) -> str:
    """Where the matrix is kept: in our database, or with SQLite, which has one writer, in a file beside it."""
    url = settings.database_url.get_secret_value()
    if make_url(url).get_backend_name() != "sqlite":
        return url
    path = sqlite.path_of(url)
    return sqlite.url_of(path.with_name(f"{path.stem}-matrix{path.suffix}")).render_as_string()


async def _project_of(client: AzureDevOps, item_id: int) -> str:
    found = await client.work_items.batch([item_id], ["System.TeamProject"])
    if not found:
        raise not_found(f"There is no item {item_id} that we may see.", f"{COMMAND} --help")
    return string(found[0].fields.get("System.TeamProject"))


async def _shape(client: AzureDevOps, settings: Settings, project: str, named: str) -> MatrixShape:
    known = load_processes(settings.policy_dir)
    if named and named not in known and shape_of(named) is None:
        raise usage(f"There is no process {named!r} in policy; there are: {', '.join(sorted(known))}.", COMMAND)
    try:
        has = named or await client.projects.process_name(project)
    except Missing as error:
        raise await no_project(client, project) from error
    shape = _shape_by(known, has)
    if shape is None and (parent := await client.processes.parent_name(has)):
        shape = _shape_by(known, parent)
    if shape is None:
        raise CliError(
            "no_process",
            f"{project!r} has the process {has!r}, and nobody has said what its types are in a matrix.",
            "Name one that is alike (--process agile), or give its levels in policy: pointsman process rules",
            ExitCode.USAGE,
        )
    return shape


def _shape_by(known: Mapping[str, ProcessPolicy], process: str) -> MatrixShape | None:
    rules = known.get(process) or rules_for(known, process)
    return shape_of(process, rules.levels if rules else ())


async def _read(call: Call, reader: MatrixReading, scope: MatrixScope) -> None:
    told, before = 0, MatrixProgress()
    async with aclosing(refresh(reader, scope)) as reading:
        async for progress in reading:
            count = progress.counts.get(before.phase, 0)
            if progress.phase is not before.phase:
                if count:
                    call.out.say(f"{SAID[before.phase]}: {count}")
                told = 0
            elif count >= told + SAY_EACH:
                told = count
                call.out.say(f"{count} {SAID[before.phase]} ...")
            before = progress


async def _print(call: Call, matrix: Matrix, wanted: Wanted) -> None:
    records: list[Record] = []
    async for row in matrix.rows(wanted):
        records += _links(row) if wanted.asks else [_record(row)]
    call.show(Listing("links", LINKS, records) if wanted.asks else Listing("matrix", COLUMNS, records))


def _record(row: MatrixRow) -> Record:
    told = {str(column): _short(row, column) for column in Column}
    return {"row": row.subject.name, **told, "title": row.subject.title}


def _short(row: MatrixRow, column: Column) -> str:
    """What is there by its number, and what is not by its name."""
    cell = row.cells[column]
    listed = ", ".join(one.name for one in cell.entries)
    if cell.gaps:
        return f"{listed} ({flag(cell)})" if listed else flag(cell)
    return listed or flag(cell)


def _links(row: MatrixRow) -> list[Record]:
    """Each thing in the row on a line of its own, and each gap."""
    found: list[Record] = []
    for column in Column:
        cell = row.cells[column]
        told: Record = {"row": row.subject.name, "column": str(column), "flag": flag(cell)}
        found += [{**told, "name": one.name, "told": one.told, "title": one.title} for one in cell.entries]
        if cell.gaps and not cell.entries:
            found.append({**told, "name": "", "told": ", ".join(map(words, cell.gaps)), "title": ""})
    return found


async def _write(call: Call, matrix: Matrix, wanted: Wanted) -> None:
    if not wanted.output:
        await _fill(FORMS[wanted.format](call.out.stdout), matrix, wanted)
        return
    target = Path(wanted.output)
    with replaced(target) as part:
        if wanted.format == "xlsx":
            await _fill(Excel(part), matrix, wanted)
        else:
            with part.open("w", encoding="utf-8", newline="") as out:
                await _fill(FORMS[wanted.format](out), matrix, wanted)
    call.out.say(f"written to {target}")


async def _fill(form: Form, matrix: Matrix, wanted: Wanted) -> None:
    form.begin(matrix.about)
    async with aclosing(matrix.rows(wanted)) as rows:
        async for row in rows:
            form.row(row)
    form.end(matrix.coverage)
