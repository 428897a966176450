"""What tests share of a PostgreSQL server: no test sees what another left."""

from contextlib import closing

import psycopg

from tests.databases import Databases


def connected(url: str) -> "closing[psycopg.Connection]":
    return closing(psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True))


def test_a_database_comes_back_as_it_was_made(migrated_postgres: Databases) -> None:
    with migrated_postgres.one() as url, connected(url) as before:
        versions = before.execute("SELECT * FROM alembic_version").fetchall()
        before.execute("INSERT INTO setting (name, value) VALUES ('left', 'behind')")
        before.execute("DELETE FROM alembic_version")
        before.execute("SELECT nextval('inbox_sequence_seq')")
    with migrated_postgres.one() as again, connected(again) as after:
        assert again == url
        assert after.execute("SELECT * FROM alembic_version").fetchall() == versions
        assert after.execute("SELECT count(*) FROM setting WHERE name = 'left'").fetchone() == (0,)
        assert after.execute("SELECT nextval('inbox_sequence_seq')").fetchone() == (1,)


def test_a_database_of_another_shape_is_not_used_again(migrated_postgres: Databases) -> None:
    with migrated_postgres.one() as url, connected(url) as before:
        before.execute("ALTER TABLE audit_event DISABLE TRIGGER ALL")
    with migrated_postgres.one() as other:
        assert other != url


def test_who_is_still_connected_is_cut_off(migrated_postgres: Databases) -> None:
    with migrated_postgres.one() as url:
        left = psycopg.connect(url.replace("+psycopg", "", 1))
        left.execute("INSERT INTO setting (name, value) VALUES ('open', 'transaction')")
    with migrated_postgres.one() as again, connected(again) as after:
        assert after.execute("SELECT count(*) FROM setting WHERE name = 'open'").fetchone() == (0,)
    left.close()
