"""`pointsman usage`: sums of the ledger and what is left of budgets, read while anybody may write; `llm forget`."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pointsman.llm.budgets import Claim, Scope
from pointsman.llm.types import TokenUsage
from pointsman.store.engine import Store
from pointsman.store.llm_answers import StoreResponseCache
from pointsman.store.llm_budgets import StoreBudgets
from pointsman.store.sqlite import ServiceLock
from starter.cli.errors import CliError, ExitCode
from starter.cli.times import moment
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig
from tests.store.test_llm_answers import answer

SPENT = TokenUsage(prompt_tokens=70, completion_tokens=30, total_tokens=100, cached_tokens=40)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def rig(
    tmp_path: Path, migrated_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rig:
    return cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)


async def spend(store: Store) -> None:
    """One call that was answered and one that is under way, of one tenant; one of another, years ago."""
    now = datetime.now(UTC)  # both are of one day
    kept = StoreBudgets(store, now=lambda: now)
    past = StoreBudgets(store, now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    for books, tenant in ((kept, "rail"), (past, "road")):
        held = await books.reserve(claimed(tenant))
        await books.settle(held, SPENT, Decimal("0.25"), "success")
    await kept.reserve(claimed("rail"))


def claimed(tenant: str) -> Claim:
    return Claim(
        accounts=((Scope.TENANT, tenant), (Scope.WORK_ITEM, f"{tenant}/7"), (Scope.USER, f"{tenant}/ada")),
        tokens=500,
        cost_usd=Decimal(1),
        provider="openai",
        model="gpt-6-luna",
    )


async def keep(store: Store) -> None:
    cache = StoreResponseCache(store)
    for key, tenant in (("1", "rail"), ("2", "rail"), ("3", "road"), ("4", "")):
        await cache.put(key, answer("yes"), tenant)


def test_answers_to_one_tenant_are_forgotten_and_the_audit_log_says_by_whom(rig: Rig) -> None:
    rig.fill(keep)
    words = ("llm", "forget", "--tenant", "rail")
    assert "would forget 2 answers to tenant 'rail'" in rig.run(*words, "--dry-run").err
    refused = rig.run(*words)
    assert (refused.code, "Nobody can be asked" in refused.err) == (ExitCode.USAGE, True)
    forgotten = rig.run(*words, "--by", "ada", "--yes", "--json").document()["forgotten"]
    assert forgotten == {"tenant": "rail", "answers": 2, "by": "ada"}
    assert "would forget 0 answers" in rig.run(*words, "--dry-run").err
    assert "would forget 1 answer to" in rig.run("llm", "forget", "--tenant", "", "--dry-run").err
    events = rig.run("audit", "show", "--action", "model.books_forgotten", "--json").document()["events"]
    assert isinstance(events, list)
    assert [(event["actor"], event["data"]) for event in events] == [("ada", {"answers": 2})]


def test_answers_are_not_forgotten_while_a_service_holds_the_books(rig: Rig) -> None:
    rig.fill(keep)
    lock = ServiceLock(rig.database)
    held = rig.run("llm", "forget", "--tenant", "rail", "--yes")
    lock.release()
    assert (held.code, "pointsman down" in held.err) == (ExitCode.CONFLICT, True)
    assert "would forget 2 answers" in rig.run("llm", "forget", "--tenant", "rail", "--dry-run").err


def test_nothing_used_is_an_empty_list_and_no_error(rig: Rig) -> None:
    answer = rig.run("usage", "--json")
    assert answer.code == ExitCode.OK
    assert answer.document() == {"schema_version": 1, "usage": []}
    assert rig.run("usage").out == ""


def test_usage_is_told_by_provider_and_model(rig: Rig) -> None:
    rig.fill(spend)
    assert rig.run("usage").out == "openai\tgpt-6-luna\t3\t0\t140\t60\t80\t200\t0.5\t1\n"


def test_usage_is_told_by_what_is_asked_in_the_order_asked(rig: Rig) -> None:
    rig.fill(spend)
    lines = [line.split("\t")[:3] for line in rig.run("usage", "--by", "day,tenant", "--by", "day").out.splitlines()]
    assert lines[0][1:] == ["rail", "2"]
    assert lines[1:] == [["2020-01-01", "road", "1"]]
    usage = rig.run("usage", "--by", "work-item", "--tenant", "rail", "--json").document()["usage"]
    assert usage == [
        {
            "work_item": "7",
            "attempts": 2,
            "failed": 0,
            "prompt_tokens": 70,
            "completion_tokens": 30,
            "cached_tokens": 40,
            "total_tokens": 100,
            "cost_usd": "0.25",
            "held_tokens": 500,
            "held_usd": "1",
        }
    ]


@pytest.mark.parametrize(
    ("words", "tenants"),
    [
        (["--since", "1h"], ["rail"]),
        (["--until", "2020-01-02"], ["road"]),
        (["--since", "2020-01-01", "--until", "2020-01-01"], []),
        (["--tenant", "road"], ["road"]),
        (["--provider", "mistral"], []),
        (["--limit", "1"], ["rail"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_usage_is_only_of_what_is_asked(rig: Rig, words: list[str], tenants: list[str]) -> None:
    rig.fill(spend)
    lines = rig.run("usage", "--by", "tenant", *words).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == tenants


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--by", "colour"], "there are day, tenant"), (["--since", "yesterday"], "Write it as 2026-11-21")],
)
def test_what_is_not_understood_says_what_would_be(rig: Rig, words: list[str], told: str) -> None:
    answer = rig.run("usage", *words)
    assert answer.code == ExitCode.USAGE
    assert told in answer.err


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("2026-11-20", NOW - timedelta(hours=36)),
        ("2026-11-21T13:00:00+01:00", NOW),
        ("2026-11-21T12:00Z", NOW),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_time_is_a_date_or_how_long_ago(told: str, means: datetime) -> None:
    assert moment(told, "--since", NOW) == means


def test_a_length_may_lie_ahead() -> None:
    assert moment("30d", "--until", NOW, ahead=True) == NOW + timedelta(days=30)


def test_no_time_is_refused_by_the_name_of_its_option() -> None:
    with pytest.raises(CliError, match="--until '9y' is no time"):
        moment("9y", "--until", NOW)


BUDGETS = """\
models:
  budgets:
    - {scope: tenant, cost_usd: "10", period: month}
    - {scope: tenant, account: rail, tokens: 1000, hard: false}
    - {scope: session, tokens: 5}
    - {scope: user, account: ada, tenant: road, tokens: 900}
    - {scope: budget, account: trial, tenant: road, tokens: 7}
"""


def test_budgets_say_what_is_left_of_them(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "policy.yaml").write_text(BUDGETS)
    monkeypatch.setenv("POINTSMAN_POLICY_DIR", str(folder))
    rig.fill(spend)
    lines = [line.split("\t") for line in rig.run("usage", "--budgets").out.splitlines()]
    assert ["tenant", "rail", "month", "hard", "", "", "10", "8.75", "500", "1"] in lines
    assert ["tenant", "road", "month", "hard", "", "", "10", "10", "0", "0"] in lines
    assert ["tenant", "rail", "ever", "soft", "1000", "400", "", "", "500", "1"] in lines
    assert ["user", "road/ada", "ever", "hard", "900", "800", "", "", "0", "0"] in lines
    assert ["budget", "road/trial", "ever", "hard", "7", "7", "", "", "0", "0"] in lines
    assert ["session", "*", "ever", "hard", "5", "5", "", "", "0", "0"] in lines
    budgets = rig.run("usage", "--budgets", "--json").document()["budgets"]
    assert isinstance(budgets, list)
    assert {"tokens_spent", "cost_usd_spent"} <= set(budgets[0])
    assert json.dumps(budgets).count('"scope"') == len(lines) == 6
