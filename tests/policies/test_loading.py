"""Policy loads as written, or not at all: each error names file, line, key, value and what is allowed."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pointsman.contracts.policy import Severity
from pointsman.domain.lifecycle import DEFAULT_RUNGS, ladder_for
from pointsman.domain.routing import in_scope, match_facts, route
from pointsman.policies.document import BYTES_MAX, Steps, read
from pointsman.policies.loading import OURS, PolicyError, load, schema
from tests.domain.samples import FACTS
from tests.policies.mistakes import AGENT, AGENTS, WRONG

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A user's folder: `policy.yaml`, and prompts by name."""

    def folder(text: str, **prompts: str) -> Path:
        (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "prompts").mkdir(exist_ok=True)
        for name, prompt in prompts.items():
            (tmp_path / "prompts" / f"{name}.md").write_text(prompt, encoding="utf-8")
        return tmp_path

    return folder


def refused(folder: Path) -> str:
    with pytest.raises(PolicyError) as error:
        load(folder)
    return str(error.value)


def policy_hash(folder: Path | None = None) -> str:
    return load(folder).policy.hash


def test_our_own_policy_loads_with_the_text_of_every_prompt() -> None:
    loaded = load()
    assert loaded.files == (OURS / "policy.yaml",)
    assert {agent.prompt for agent in loaded.policy.agents} == set(loaded.prompts)
    assert all(text.strip() for text in loaded.prompts.values())
    assert re.fullmatch(r"[0-9a-f]{64}", loaded.policy.hash)


def test_our_own_policy_keeps_its_promises() -> None:
    policy = load().policy
    assert in_scope(policy, match_facts(FACTS)) == "engineering work"
    assert route(policy, match_facts(FACTS)).agent == "triage"
    closer = policy.agent("closer")
    assert closer is not None
    assert closer.needs_approval == ("System.State",)
    assert {ladder.severity for ladder in policy.ladders} == set(Severity)


def test_durations_money_and_names_are_read_as_people_write_them(write: Write) -> None:
    limits = 'limits: {wall_time: 90s, cost_usd: "0.25", steps: 7}'
    loaded = load(write(f"agents: [{{name: helper, model: m-1, prompt: own, {limits}}}]\nroutes: []\n", own="Be kind."))
    (agent,) = loaded.policy.agents
    assert (agent.limits.wall_time, agent.limits.cost_usd, agent.limits.steps) == (
        timedelta(seconds=90),
        Decimal("0.25"),
        7,
    )
    assert loaded.prompts == {agent.prompt: "Be kind."}


def test_the_users_file_replaces_ours_key_by_key(write: Write) -> None:
    ours = load().policy
    folder = write("scope: []\nversion: 2026-03-01\n")
    loaded = load(folder)
    assert (loaded.policy.version, loaded.policy.scope) == ("2026-03-01", ())
    assert (loaded.policy.routes, loaded.policy.agents) == (ours.routes, ours.agents)
    assert loaded.files == (OURS / "policy.yaml", folder / "policy.yaml")


def test_the_users_prompt_replaces_ours_of_the_same_name(write: Write) -> None:
    ours = load()
    loaded = load(write("scope: []\n", triage="Do it our way."))
    assert "Do it our way." in loaded.prompts.values()
    changed = [
        agent.name
        for agent, before in zip(loaded.policy.agents, ours.policy.agents, strict=True)
        if agent.prompt != before.prompt
    ]
    assert changed == ["triage"]


def test_a_severity_without_a_ladder_gets_the_default(write: Write) -> None:
    policy = load(write("ladders: [{severity: low, rungs: [{notify: [team], wait: 5d}]}]\n")).policy
    assert ladder_for(policy, Severity.LOW).rungs[0].wait == timedelta(days=5)
    assert ladder_for(policy, Severity.CRITICAL).rungs == DEFAULT_RUNGS


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(write: Write, name: str) -> None:
    text, told = WRONG[name]
    error = refused(write(text))
    assert told in error
    assert re.search(r"policy\.yaml:\d+: ", error)
    assert error.endswith("Nothing was loaded.")
    assert "Traceback" not in error


def test_several_faults_are_told_in_order_of_their_lines(write: Write) -> None:
    error = refused(write("version: 1\nscope: all\nroutes:\n- name: a\n  agent: 7\n"))
    assert [int(line.split(":")[1]) for line in error.splitlines()] == [1, 2, 5]


def test_a_long_value_is_cut_and_the_rule_still_told(write: Write) -> None:
    error = refused(write(f"agents:\n- {AGENT[:-1]}, max_output_tokens: {'x' * 5_000}}}\n"))
    assert len(error) < 400
    assert "must be a whole number" in error


def test_what_takes_away_from_our_other_keys_says_what_to_give_too(write: Write) -> None:
    folder = write(f"agents: [{AGENT}]\n")
    error = refused(folder)
    assert error.startswith(f"{OURS / 'policy.yaml'}:")
    assert "routes.0.agent: closer: must be one of: helper" in error
    assert f"to change it, give routes in {folder / 'policy.yaml'} too" in error


def test_a_line_is_that_of_the_deepest_part_that_exists(write: Write) -> None:
    document = read(write("version: '1'\nroutes:\n\n- name: a\n  match:\n    tags: [x]\n") / "policy.yaml")
    places: tuple[Steps, ...] = (
        ["routes", 0, "match", "tags", 0],
        ["routes", 0, "match", "text", 0],
        ["routes", 1],
        ["version", "x"],
        [],
    )
    assert [document.line(place) for place in places] == [6, 5, 2, 1, 1]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith(f"{tmp_path / 'policy.yaml'}: cannot be read: ")
    (tmp_path / "policy.yaml").mkdir()
    assert "cannot be read" in refused(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(b"version: \xff\n")
    assert "cannot be read: 'utf-8' codec" in refused(tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(b"scope: []".ljust(BYTES_MAX))
    assert load(tmp_path).policy.scope == ()
    (tmp_path / "policy.yaml").write_bytes(b"#" * (BYTES_MAX + 1))
    assert f"{BYTES_MAX + 1} bytes, the limit is {BYTES_MAX}" in refused(tmp_path)


def test_a_prompt_that_cannot_be_used_is_named(write: Write) -> None:
    folder = write(f"agents: [{AGENT}]\nroutes: []\n", triage=" \n")
    assert f"{folder / 'prompts' / 'triage.md'} is empty" in refused(folder)
    (folder / "prompts" / "triage.md").write_bytes(b"\xff")
    assert "triage.md: cannot be read" in refused(folder)


def test_a_byte_order_mark_is_no_fault(write: Write) -> None:
    assert load(write("\ufeffversion: '7'\n")).policy.version == "7"


def test_the_hash_stands_when_only_the_writing_changes(write: Write) -> None:
    plain = write("version: '2'\nscope:\n- name: all\n  match: {types: [Bug]}\n")
    before = policy_hash(plain)
    assert (
        policy_hash(write("# ours\nscope: [{match: {types: ['Bug']}, name: all}]\n\nversion: \"2\" # two\n")) == before
    )
    assert (
        policy_hash(write("version: '2'\nscope: [{name: all, match: {types: [Bug], tags: []}}]\ntenants: []\n"))
        == before
    )


def test_the_hash_changes_with_any_content(write: Write) -> None:
    texts = [
        "version: '1'\n",
        "version: '2'\n",
        "scope: []\n",
        "scope: [{name: a}]\n",
        "scope: [{name: a}, {name: b}]\n",
        "scope: [{name: b}, {name: a}]\n",
        f"{AGENTS}",
        f"routes: []\nagents: [{AGENT[:-1]}, limits: {{steps: 19}}}}]\n",
    ]
    hashes = [policy_hash(write(text)) for text in texts]
    assert hashes[0] == policy_hash()
    assert len(set(hashes)) == len(texts)


def test_the_text_of_a_prompt_is_part_of_the_hash(write: Write) -> None:
    hashes = {
        policy_hash(write(AGENTS)),
        policy_hash(write(AGENTS, triage="a")),
        policy_hash(write(AGENTS, triage="b")),
    }
    assert len(hashes) == 3
    assert policy_hash(write(AGENTS, triage="b\n")) in hashes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["version", "tenants", "scope", "routes", "agents", "tool_servers", "ladders", "name", "match"])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(keys, json_values | st.lists(st.dictionaries(keys, json_values, max_size=3), max_size=2)))
def test_any_file_loads_or_is_refused_with_its_line(write: Write, content: dict[str, object]) -> None:
    folder = write(yaml.safe_dump(content, allow_unicode=True))
    try:
        loaded = load(folder)
    except PolicyError as error:
        told = str(error)
    else:
        told = f"policy.yaml:1: {loaded.policy.version}"
    assert re.search(r"policy\.yaml:\d+: ", told)


def test_the_schema_is_one_that_editors_can_use() -> None:
    Draft202012Validator.check_schema(schema())
    assert Draft202012Validator(schema()).is_valid(yaml.safe_load((OURS / "policy.yaml").read_text(encoding="utf-8")))
