"""A project's matrix as tests read it and ask for it on the command line."""

import io
from pathlib import Path
from xml.etree import ElementTree as Xml

from pointsman.clients.azure_devops.matrix_facts import MatrixReader
from pointsman.config import Settings, load
from pointsman.contracts.matrix import Column, MatrixPhase, MatrixRow, MatrixScope
from pointsman.domain.matrix.shapes import shape_of
from pointsman.store.matrix import MatrixGraph
from starter.cli import matrix as on_the_command_line
from starter.cli.call import Call
from starter.cli.matrix import Wanted
from starter.cli.output import Output
from starter.matrix import all_rows, refresh, rows_for
from starter.matrix_reading import MatrixReading
from tests.sandbox.azure import SERVICE_TOKEN, Azure
from tests.sandbox.traced import PROJECT, Traced

SCOPE = MatrixScope(tenant="default", organisation="fabrikam", project=PROJECT)
SHAPE = shape_of("CMMI")


class Matrix:
    def __init__(self, made: Traced, graph: MatrixGraph) -> None:
        self.made, self.graph = made, graph
        self.reading = MatrixReading(MatrixReader({"fabrikam": made.azure.service}), graph)

    async def read(self, *, whole: bool = False) -> dict[MatrixPhase, int]:
        """How much was read of each."""
        told = [progress async for progress in refresh(self.reading, SCOPE.model_copy(update={"whole": whole}))]
        return {phase: count for phase, count in told[-1].counts.items() if count}

    async def rows(self) -> dict[str, MatrixRow]:
        """By the name that the subject has here."""
        mark = await self.graph.mark("fabrikam", PROJECT)
        assert mark
        assert SHAPE
        names = {number: name for name, number in self.made.ids.items()}
        found = [row async for row in all_rows(self.graph, SCOPE, SHAPE, mark.unknown)]
        return {names[row.subject.item]: row for row in found}

    async def rows_for(self, *names: str) -> list[str]:
        assert SHAPE
        known = {number: name for name, number in self.made.ids.items()}
        found = await rows_for(self.graph, "fabrikam", SHAPE, [self.made.ids[name] for name in names])
        return [known[row.subject.item] for row in found]


def names(row: MatrixRow, column: Column) -> list[str]:
    return [one.name for one in row.cells[column].entries]


def settings(azure: Azure, folder: Path) -> Settings:
    return load(azure_devops_url=azure.base_url, azure_devops_token=SERVICE_TOKEN, data_dir=folder)


async def asked(azure: Azure, folder: Path, wanted: Wanted, *, as_json: bool = False) -> tuple[int, str, str]:
    printed, talk = io.StringIO(), io.StringIO()
    call = Call(Output(as_json=as_json, stdout=printed, stderr=talk), {})
    code = await on_the_command_line.show(call, settings(azure, folder), wanted)
    return code, printed.getvalue(), talk.getvalue()


def tree_of(data: bytes) -> Xml.Element:
    return Xml.fromstring(data)  # noqa: S314 - it is ours
