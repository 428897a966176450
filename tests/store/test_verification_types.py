"""SQLite stores anything anywhere. A value of the wrong type in the books' evidence is found, and its row is named."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, make_url

from pointsman.store.columns import CleanText
from pointsman.store.engine import Store
from pointsman.store.exports import export
from pointsman.store.signing import Signer
from pointsman.store.tables import metadata
from tests.store.test_verification import EVIDENCE, administrator, fill, verified

# Its rows have no number to be found by; it has a test of its own.
NUMBERED = {table: columns for table, columns in EVIDENCE.items() if table != "audit_subject"}
TABLES = {**NUMBERED, "content": ("hash", "encoding", "data"), "setting": ("value",)}
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]
NOT_UTF8 = "CAST(x'ff' || {column} AS TEXT)"
# What a column may hold without being damaged: its own type, and nothing else.
OTHERS = {
    "blob": ("CAST({column} AS TEXT)", "'text'", "7", "1.5", NOT_UTF8),
    "text": ("CAST({column} AS BLOB)", "x'00ff'", NOT_UTF8),
    "integer": ("'text'", "x'00ff'", "1.5", "9223372036854775807", "-1"),
}


def kind(table: str, column: str) -> str:
    declared = metadata.tables[table].c[column].type
    return "blob" if isinstance(declared, LargeBinary) else "text" if isinstance(declared, CleanText) else "integer"


async def said(store: Store, signer: Signer) -> str:
    return "\n".join(map(str, (await verified(store, signer)).findings))


class Vandal:
    """Writes whatever it likes into one row, and puts it back. `rows` are the rows of a table by number."""

    def __init__(self, url: str) -> None:
        with administrator(url):
            self.raw = sqlite3.connect(str(make_url(url).database), isolation_level=None)

    def rows(self, table: str) -> Sequence[int]:
        found = self.raw.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()  # noqa: S608 - our own names
        return [row[0] for row in found]

    def change(self, table: str, column: str, row: int, value: str) -> bool:
        """False where the database itself refuses."""
        try:
            self.raw.execute("BEGIN IMMEDIATE")
            self.raw.execute(f"CREATE TEMP TABLE kept AS SELECT rowid AS row, * FROM {table}")  # noqa: S608 - our own names
            statement = f"UPDATE {table} SET {column} = {value.format(column=column)} WHERE rowid = ?"  # noqa: S608 - our own names
            self.raw.execute(statement, (row,))
            self.raw.execute("COMMIT")
        except sqlite3.IntegrityError:
            self.raw.execute("ROLLBACK")
            return False
        return True

    def mend(self, table: str, column: str, row: int) -> None:
        before = f"(SELECT {column} FROM kept WHERE row = ?1)"  # noqa: S608 - our own names
        self.raw.execute(f"UPDATE {table} SET {column} = {before} WHERE rowid = ?1", (row,))  # noqa: S608 - our own names
        self.raw.execute("DROP TABLE kept")


@pytest.mark.parametrize("table", TABLES)
async def test_a_value_of_any_other_type_is_found_and_named(sqlite_url: str, signer: Signer, table: str) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        vandal = Vandal(sqlite_url)
        for column in TABLES[table]:
            for number, value in enumerate(OTHERS[kind(table, column)]):
                rows = vandal.rows(table)
                row = rows[number % len(rows)]
                if not vandal.change(table, column, row, value):
                    continue
                found = await said(store, signer)
                assert table in found, f"{table}.{column} = {value} of row {row}: {found!r}"
                vandal.mend(table, column, row)
        assert await said(store, signer) == ""


async def test_text_where_bytes_belong_is_told_with_row_and_column(sqlite_url: str, signer: Signer) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        vandal = Vandal(sqlite_url)
        vandal.change("audit_event", "body", 2, "CAST(body AS TEXT)")
        found = await verified(store, signer)
    assert [(finding.tenant, str(finding)) for finding in found.findings] == [
        ("default", "audit_event 'event-default-1': column body of row 2 holds text, not blob")
    ]


async def test_nothing_at_all_is_found_where_a_rebuilt_table_allows_it(sqlite_url: str, signer: Signer) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        vandal = Vandal(sqlite_url)
        for table, columns in NUMBERED.items():
            with vandal.raw:
                vandal.raw.execute("PRAGMA foreign_keys=OFF")
                vandal.raw.execute(f"CREATE TABLE loose AS SELECT * FROM {table}")  # noqa: S608 - our own names
                vandal.raw.execute(f"DROP TABLE {table}")
                vandal.raw.execute(f"ALTER TABLE loose RENAME TO {table}")
            for column in columns:
                row = vandal.rows(table)[-1]
                assert vandal.change(table, column, row, "NULL")
                found = await said(store, signer)
                assert f"column {column} of row {row} holds null" in found, f"{table}.{column}: {found!r}"
                vandal.mend(table, column, row)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("subject = CAST(subject AS BLOB)", "column subject holds blob, not text"),
        ("subject = CAST(x'ff' || subject AS TEXT)", "column subject holds text that is no UTF-8, not text"),
        ("sequence = 'first'", "column sequence holds text, not integer"),
        ("sequence = 1.5", "column sequence holds real, not integer"),
    ],
)
async def test_what_finds_events_by_their_subject_is_looked_at_too(
    sqlite_url: str, signer: Signer, change: str, told: str
) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        Vandal(sqlite_url).raw.execute(f"UPDATE audit_subject SET {change} WHERE sequence = 1")  # noqa: S608 - our own
        found = await said(store, signer)
    assert "audit_subject " in found
    assert told in found


async def test_a_log_without_its_name_is_found(sqlite_url: str, signer: Signer) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        Vandal(sqlite_url).raw.execute("DELETE FROM setting")
        assert "setting 'audit.log': is missing: it names what was signed" in await said(store, signer)


async def test_text_where_bytes_belong_does_not_keep_the_log_from_being_exported(
    sqlite_url: str, signer: Signer, tmp_path: Path
) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        vandal = Vandal(sqlite_url)
        vandal.change("audit_event", "body", 2, "CAST(body AS TEXT)")
        assert (await export(store, signer, tmp_path / "evidence.zip")).events == 7
