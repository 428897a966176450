"""Which agent gets an item: the first rule that matches, whatever follows, and a human where none does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.policy import Match, MatchFacts, Policy, Route, ScopeRule, Tenant
from pointsman.domain.routing import DEFAULT_TENANT, in_scope, match_facts, route, tenant_of, why_matches
from pointsman.domain.words import how_many
from tests.domain.samples import FACTS

ITEM = match_facts(FACTS)

words = st.sampled_from(["Bug", "Task", "Quay", "Quay\\Cranes", "crane", "noon", "c++", "a.b", ""])
several = st.lists(words, max_size=2).map(tuple)
matches = st.builds(
    Match, organisations=several, projects=several, area_paths=several, types=several, tags=several, text=several
)
items = st.builds(
    MatchFacts,
    organisation=words,
    project=words,
    area_path=words,
    type=words,
    tags=several,
    title=words,
    text=words,
)
routes = st.lists(st.builds(Route, name=words, match=matches, agent=st.sampled_from(["a", "b", "c"])), max_size=4)


def policy(*rules: Route) -> Policy:
    return Policy(version="1", routes=rules)


def text_matches(phrase: str, title: str, text: str = "") -> bool:
    facts = MatchFacts(organisation="o", project="p", title=title, text=text)
    return why_matches(Match(text=(phrase,)), facts) is not None


@given(routes, routes, items)
def test_what_follows_a_rule_that_matches_changes_nothing(
    first: list[Route], more: list[Route], item: MatchFacts
) -> None:
    decision = route(policy(*first), item)
    if decision.agent:
        assert route(policy(*first, *more), item) == decision


@given(routes, routes, items)
def test_rules_that_do_not_match_change_nothing(silent: list[Route], rules: list[Route], item: MatchFacts) -> None:
    silent = [rule for rule in silent if why_matches(rule.match, item) is None]
    decision, other = route(policy(*rules), item), route(policy(*silent, *rules), item)
    assert (decision.agent, decision.rule) == (other.agent, other.rule)


@given(routes, items)
def test_the_rule_that_is_named_is_the_first_that_matches(rules: list[Route], item: MatchFacts) -> None:
    matching = [rule for rule in rules if why_matches(rule.match, item) is not None]
    decision = route(policy(*rules), item)
    if matching:
        assert (decision.agent, decision.rule) == (matching[0].agent, matching[0].name)
        assert decision.confidence == 1.0
    else:
        assert (decision.agent, decision.rule, decision.confidence) == ("", "", 0.0)
        assert decision.reason == f"none of {how_many(len(rules), 'rule')} matches"


@given(matches, items)
def test_every_named_criterion_must_hold(match: Match, item: MatchFacts) -> None:
    one_by_one = [Match.model_validate({name: wanted}) for name, wanted in match.model_dump().items()]
    holds = all(why_matches(one, item) is not None for one in one_by_one)
    assert (why_matches(match, item) is not None) == holds


@given(items)
def test_a_rule_without_criteria_matches_everything(item: MatchFacts) -> None:
    assert why_matches(Match(), item) == "matches everything"


def test_the_reason_tells_what_of_the_item_matched() -> None:
    match = Match(
        organisations=("Harbour",),
        projects=("quay",),
        area_paths=("Quay\\Cranes",),
        types=("bug",),
        tags=("NOON",),
        text=("stops at",),
    )
    reason = route(policy(Route(name="cranes", match=match, agent="a")), ITEM).reason
    assert reason == (
        "rule 'cranes': organisation harbour, project Quay, area path Quay\\Cranes\\North is in Quay\\Cranes, "
        "type Bug, tag NOON, text 'stops at'"
    )


@pytest.mark.parametrize(
    ("wanted", "value", "inside"),
    [
        ("Quay", "Quay", True),
        ("quay\\CRANES", "Quay\\Cranes\\North", True),
        ("Quay/Cranes/", "\\Quay\\Cranes", True),
        ("Quay\\Cran", "Quay\\Cranes", False),
        ("Quay\\Cranes\\North", "Quay\\Cranes", False),
        ("Cranes", "Quay\\Cranes", False),
        ("Quay", "", False),
    ],
)
def test_an_area_path_matches_itself_and_what_lies_below(wanted: str, value: str, inside: bool) -> None:
    facts = MatchFacts(organisation="o", project="p", area_path=value)
    assert (why_matches(Match(area_paths=(wanted,)), facts) is not None) == inside


@pytest.mark.parametrize(
    ("phrase", "title", "found"),
    [
        ("log", "the LOG is full", True),
        ("log", "login fails", False),
        ("log", "a catalog", False),
        ("sign in", "cannot sign \n in", True),
        ("c++", "crash in C++ code", True),
        ("a.b", "a.b fails", True),
        ("a.b", "axb fails", False),
        ("(.*)", "anything", False),
        ("[x", "see [x]", True),
        ("strasse", "Straße gesperrt", True),
        ("größe", "GRÖSSE falsch", True),
    ],
)
def test_text_is_found_as_whole_words_without_regard_to_case(phrase: str, title: str, found: bool) -> None:
    assert text_matches(phrase, title) == found


@given(st.text(min_size=1, max_size=12).filter(str.strip), st.text(max_size=12))
def test_a_phrase_is_taken_literally_whatever_it_holds(phrase: str, text: str) -> None:
    assert text_matches(phrase, f"{phrase} {text}")
    assert not text_matches(phrase, "", "".join(sorted(set("0123456789") - set(phrase))))


def test_text_is_looked_for_in_title_and_description() -> None:
    assert text_matches("noon", "x", "at noon")
    assert not text_matches("x at", "x", "y at")


def test_an_item_is_in_scope_when_any_rule_takes_it() -> None:
    rules = ScopeRule(name="tasks", match=Match(types=("Task",))), ScopeRule(name="bugs", match=Match(types=("Bug",)))
    assert in_scope(Policy(version="1", scope=rules), ITEM) == "bugs"
    assert in_scope(Policy(version="1", scope=rules[:1]), ITEM) is None


def test_without_scope_rules_nothing_is_in_scope() -> None:
    assert in_scope(Policy(version="1"), ITEM) is None


def test_an_organisation_belongs_to_the_tenant_that_lists_it() -> None:
    tenants = Tenant(name="ports", organisations=("Harbour", "Dock")), Tenant(name="rail", organisations=("Yard",))
    policy = Policy(version="1", tenants=tenants)
    assert [tenant_of(policy, name) for name in ("dock", "YARD", "sea")] == ["ports", "rail", DEFAULT_TENANT]
