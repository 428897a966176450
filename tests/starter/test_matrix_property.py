"""Whatever people do to a project between two readings, what is kept is what a reading of all of it would find."""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import remove_relation, set_field
from pointsman.contracts.matrix import MatrixRow
from pointsman.ports import Rejected
from pointsman.store.engine import Store
from pointsman.store.matrix import MatrixGraph
from tests.sandbox.azure import azure_devops
from tests.sandbox.traced import AFFECTS, CHILD, RELATED, TESTED_BY, Traced, traced_config
from tests.starter.matrix_rig import Matrix

KINDS = ("Epic", "Feature", "Requirement", "Task", "Bug", "Test Case", "Review", "Change Request")
RELATIONS = (CHILD, CHILD, TESTED_BY, AFFECTS, RELATED)
STATES = ("Proposed", "Active", "Resolved", "Closed", "Removed")
ROUNDS, CHANGES, FEW = 4, 8, 5


class People:
    """Whoever changes the project. What the service refuses they leave."""

    def __init__(self, made: Traced, seed: int) -> None:
        self.made, self.chance = made, random.Random(seed)
        self.binned: list[str] = []
        self.coded: list[str] = []

    async def change(self) -> None:
        there = [name for name in self.made.ids if name not in self.binned]
        does = [*[self.make, self.link, self.unlink, self.edit, self.code] * 2, self.bin, self.restore]
        with suppress(Rejected):
            await self.chance.choice(does if len(there) > FEW else [self.make])(there)

    async def make(self, there: list[str]) -> None:
        name = f"item {len(self.made.ids)}"
        await self.made.make(name, self.chance.choice(KINDS), self.chance.choice(["", *there]))

    async def link(self, there: list[str]) -> None:
        source, target = self.chance.sample(there, 2)
        await self.made.link(source, self.chance.choice(RELATIONS), target)

    async def unlink(self, there: list[str]) -> None:
        items, number = self.made.azure.person.work_items, self.made.ids[self.chance.choice(there)]
        if links := (await items.get(number)).relations:
            await items.patch(number, [remove_relation(self.chance.randrange(len(links)))])

    async def edit(self, there: list[str]) -> None:
        field, values = self.chance.choice([("State", STATES), ("Title", STATES), ("WorkItemType", KINDS)])
        number = self.made.ids[self.chance.choice(there)]
        change = set_field(f"System.{field}", self.chance.choice(values))
        await self.made.azure.person.work_items.patch(number, [change])

    async def code(self, there: list[str]) -> None:
        name = self.chance.choice([one for one in there if one not in self.coded] or there)
        self.coded.append(name)
        if self.chance.random() < 0.5:
            await self.made.commit(name)
        else:
            await self.made.request(name, approved=self.chance.random() < 0.5, merged=self.chance.random() < 0.5)
        if name in self.made.commits:
            await self.made.build(name, self.chance.choice(["succeeded", "failed"]))

    async def bin(self, there: list[str]) -> None:
        self.binned.append(self.chance.choice(there))
        await self.made.azure.person.work_items.delete(self.made.ids[self.binned[-1]])

    async def restore(self, there: list[str]) -> None:
        if self.binned:
            await self.made.azure.person.work_items.restore(self.made.ids[self.binned.pop()])


async def fresh(made: Traced, path: Path, migrated: Path) -> dict[str, MatrixRow]:
    """As a reading of all of it finds it."""
    shutil.copy(migrated, path)
    async with Store.open(f"sqlite:///{path}") as store:
        matrix = Matrix(made, MatrixGraph(store))
        await matrix.read()
        return await matrix.rows()


@pytest.mark.parametrize("seed", [3, 7])
async def test_what_changed_since_leads_to_the_matrix_of_all(seed: int, migrated_file: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_file, tmp_path / "matrix.db")
    async with azure_devops(of=traced_config()) as azure, Store.open(f"sqlite:///{tmp_path}/matrix.db") as store:
        made = Traced(azure)
        await made.begin_code()
        people, matrix = People(made, seed), Matrix(made, MatrixGraph(store))
        for number in range(ROUNDS):
            for _ in range(CHANGES):
                await people.change()
            await matrix.read()
            rows = await matrix.rows()
            assert rows == await fresh(made, tmp_path / f"{number}.db", migrated_file)
        assert len({cell.cover for row in rows.values() for cell in row.cells.values()}) > 2
