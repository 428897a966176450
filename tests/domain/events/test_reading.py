"""Every type of event becomes one class and keeps what it is about; whatever else comes is kept as it is."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts import events
from pointsman.contracts.base import Json
from pointsman.contracts.events import Event, OpaqueEvent, UnknownEvent
from pointsman.contracts.subjects import SubjectKind
from pointsman.domain import deliveries
from pointsman.domain.events.reading import OPAQUE, TOO_DEEP, TYPED, parse, parse_bytes
from pointsman.domain.loose import UNPRINTABLE
from tests.domain.events.samples import ADA, BASE, REPOSITORY_ID, RESOURCES, delivery, known
from tests.domain.payloads import documented
from tests.domain.test_deliveries import JSON, recased

KINDS: dict[str, tuple[type[Event], SubjectKind, str]] = {
    "workitem.created": (events.WorkItemCreated, SubjectKind.WORK_ITEM, "41"),
    "workitem.updated": (events.WorkItemUpdated, SubjectKind.WORK_ITEM, "41"),
    "workitem.commented": (events.WorkItemCommented, SubjectKind.WORK_ITEM, "41"),
    "workitem.deleted": (events.WorkItemDeleted, SubjectKind.WORK_ITEM, "41"),
    "workitem.restored": (events.WorkItemRestored, SubjectKind.WORK_ITEM, "41"),
    "git.push": (events.CodePushed, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "git.pullrequest.created": (events.PullRequestCreated, SubjectKind.PULL_REQUEST, "17"),
    "git.pullrequest.updated": (events.PullRequestUpdated, SubjectKind.PULL_REQUEST, "17"),
    "git.pullrequest.merged": (events.PullRequestMergeAttempted, SubjectKind.PULL_REQUEST, "17"),
    "ms.vss-code.git-pullrequest-comment-event": (events.PullRequestCommented, SubjectKind.PULL_REQUEST, "17"),
    "git.repo.created": (events.RepositoryCreated, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "git.repo.deleted": (events.RepositoryDeleted, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "git.repo.forked": (events.RepositoryForked, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "git.repo.renamed": (events.RepositoryRenamed, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "git.repo.statuschanged": (events.RepositoryStatusChanged, SubjectKind.REPOSITORY, REPOSITORY_ID),
    "tfvc.checkin": (events.ChangesetCheckedIn, SubjectKind.CHANGESET, "18"),
    "build.complete": (events.BuildCompleted, SubjectKind.BUILD, "90"),
    "ms.vss-pipelines.run-state-changed-event": (events.RunStateChanged, SubjectKind.PIPELINE, "4"),
    "ms.vss-pipelines.stage-state-changed-event": (events.StageStateChanged, SubjectKind.PIPELINE, "4"),
    "ms.vss-pipelines.job-state-changed-event": (events.JobStateChanged, SubjectKind.PIPELINE, "4"),
    "ms.vss-pipelinechecks-events.approval-pending": (
        events.ApprovalPending,
        SubjectKind.APPROVAL,
        "9c9c9c9c-1111-4222-8333-444455556666",
    ),
    "ms.vss-pipelinechecks-events.approval-completed": (events.ApprovalCompleted, SubjectKind.PIPELINE, "4"),
    "ms.vss-release.release-created-event": (events.ReleaseCreated, SubjectKind.RELEASE, "31"),
    "ms.vss-release.release-abandoned-event": (events.ReleaseAbandoned, SubjectKind.RELEASE, "31"),
    "ms.vss-release.deployment-started-event": (events.DeploymentStarted, SubjectKind.RELEASE, "31"),
    "ms.vss-release.deployment-completed-event": (events.DeploymentCompleted, SubjectKind.RELEASE, "31"),
    "ms.vss-release.deployment-approval-pending-event": (events.DeploymentApprovalPending, SubjectKind.RELEASE, "31"),
    "ms.vss-release.deployment-approval-completed-event": (
        events.DeploymentApprovalCompleted,
        SubjectKind.RELEASE,
        "31",
    ),
    "ms.vss-endpoint.endpoint-created": (events.ServiceConnectionCreated, SubjectKind.SERVICE_CONNECTION, "e-1"),
    "ms.vss-endpoint.endpoint-updated": (events.ServiceConnectionUpdated, SubjectKind.SERVICE_CONNECTION, "e-1"),
    "ms.vss-alerts.alert-created-event": (events.AlertCreated, SubjectKind.ALERT, "6"),
    "ms.vss-alerts.alert-state-changed-event": (events.AlertStateChanged, SubjectKind.ALERT, "6"),
    "ms.vss-alerts.alert-updated-event": (events.AlertUpdated, SubjectKind.ALERT, "6"),
}
OF_CODE = [name for name in KINDS if name.startswith("git.") or "alert" in name or name == "build.complete"]


def test_every_known_type_is_in_the_table() -> None:
    assert set(KINDS) == TYPED == set(RESOURCES)
    assert len({kind for kind, _, _ in KINDS.values()}) == len(KINDS)
    assert not OPAQUE & TYPED


@pytest.mark.parametrize("event_type", KINDS)
def test_each_type_has_its_class_and_its_subject(event_type: str) -> None:
    event = parse(known(event_type))
    kind, about, named = KINDS[event_type]
    assert type(event) is kind
    assert event.subject is not None
    assert (event.subject.kind, event.subject.id) == (about, named)
    assert event.envelope.organisation == "harbour"


@pytest.mark.parametrize("event_type", OF_CODE)
def test_events_of_code_name_the_repository_that_they_concern(event_type: str) -> None:
    event = parse(known(event_type))
    assert event.repository is not None
    assert event.repository.name == "cranes"


def test_the_envelope_is_read_as_a_whole() -> None:
    assert parse(known("git.push")).envelope == events.Envelope(
        event_type="git.push",
        event_id="c0ffee00-3333-4444-8555-666677778888",
        publisher="tfs",
        subscription_id="7d1f0c55-2222-4333-8444-555566667777",
        notification_id=12,
        resource_version="1.0",
        created_at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        organisation="harbour",
        project_id="0f1c2d3e-1111-4222-8333-444455556666",
        text="Something happened",
    )


@pytest.mark.parametrize("message", [None, {}, {"text": None}, "text"], ids=str)
def test_messages_may_be_missing(message: Json) -> None:
    event = parse(known("git.push", message=message, detailedMessage=message))
    assert (type(event), event.envelope.text) == (events.CodePushed, "")


def test_a_test_notification_is_read_and_marked() -> None:
    event = parse(known("workitem.created", subscriptionId="00000000-0000-0000-0000-000000000000"))
    assert isinstance(event, events.WorkItemCreated)
    assert event.envelope.is_test


@pytest.mark.parametrize("event_type", KINDS)
@pytest.mark.parametrize("resource", [None, {}, [], "gone"], ids=str)
def test_a_resource_that_is_missing_leaves_the_type(event_type: str, resource: Json) -> None:
    event = parse(delivery(event_type, resource))
    expected = OpaqueEvent if event_type.startswith("workitem.") else KINDS[event_type][0]
    assert (type(event), event.subject) == (expected, None)


def test_the_name_that_only_documentation_has_means_the_same_event() -> None:
    resource = RESOURCES["ms.vss-release.release-created-event"]
    assert type(parse(delivery("ms.azure-devops-release.release-created-event", resource))) is events.ReleaseCreated


@pytest.mark.parametrize("event_type", sorted(OPAQUE))
def test_a_type_known_by_name_keeps_its_resource_as_it_came(event_type: str) -> None:
    event = parse(delivery(event_type, {"poolId": 1, "deep": [{"er": None}]}))
    assert event == OpaqueEvent(envelope=event.envelope, resource={"poolId": 1, "deep": [{"er": None}]})


def test_an_unknown_type_keeps_its_resource_and_says_why() -> None:
    event = parse(delivery("git.repo.painted", {"colour": "red", "repositoryId": "r-1"}))
    assert isinstance(event, UnknownEvent)
    assert (event.resource, event.envelope.event_type) == ({"colour": "red", "repositoryId": "r-1"}, "git.repo.painted")
    assert event.reason == "event type 'git.repo.painted' concerns no work item but repository r-1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"{", "not JSON"), (b"[1]", "a JSON object is wanted"), (b"{}", "no event type"), (b"[" * 99_999, "not JSON")],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_event_is_unknown(body: bytes, reason: str) -> None:
    event = parse_bytes(body)
    assert isinstance(event, UnknownEvent)
    assert event.reason.startswith(reason)


@pytest.mark.parametrize("event_type", ["workitem.created", "message.posted", "elsewhere", "git.push"])
@pytest.mark.parametrize("depth", [300, 900])
def test_no_nesting_is_too_deep(event_type: str, depth: int) -> None:
    deep = json.loads('{"a":' * depth + "1" + "}" * depth)
    event = parse(delivery(event_type, {"id": 1, "fields": {"A.B": deep}, "x": deep}))
    assert event.envelope.event_type == event_type
    assert not isinstance(event, UnknownEvent) or event.reason in (
        TOO_DEEP,
        f"event type {event_type!r} concerns no work item",
    )


@given(JSON)
def test_no_json_is_too_strange(body: Json) -> None:
    assert isinstance(parse(body), UnknownEvent)


def mutations(value: Json) -> st.SearchStrategy[Json]:
    """The same with a part of it replaced by anything."""
    if isinstance(value, dict) and value:
        name = st.sampled_from(sorted(value))
        changed = name.flatmap(lambda one: mutations(value[one]).map(lambda new: {**value, one: new}))
        return st.one_of(changed, changed, changed, JSON)
    return JSON


@given(st.sampled_from(sorted(RESOURCES)).flatmap(lambda name: mutations(RESOURCES[name]).map(lambda new: (name, new))))
def test_no_resource_is_too_strange(sample: tuple[str, Json]) -> None:
    event_type, resource = sample
    body = delivery(event_type, resource)
    event = parse(body)
    assert type(event) in (KINDS[event_type][0], OpaqueEvent)
    assert type(event).model_validate_json(event.model_dump_json()) == event
    heard = deliveries.read(body)
    assert not UNPRINTABLE.search(heard.project + heard.reason)


@given(
    st.sampled_from(sorted(RESOURCES)),
    st.sampled_from([str.upper, lambda name: name[:1].upper() + name[1:]]),
    st.randoms(),
)
def test_on_premises_spelling_and_any_order_of_keys_change_nothing(
    event_type: str, case: Callable[[str], str], chance: random.Random
) -> None:
    body = known(event_type)
    other = recased(body, case)
    assert isinstance(other, dict)
    names = list(other)
    chance.shuffle(names)
    assert parse({name: other[name] for name in names}) == parse(body)


def test_a_server_of_ones_own_names_its_collection() -> None:
    place = "https://tfs.harbour.example/tfs/Docks"
    body: dict[str, Json] = {
        "EventType": "git.pullrequest.created",
        "PublisherId": "tfs",
        "Resource": {"PullRequestId": 3, "CreatedBy": ADA, "Repository": {"Id": "r-3", "Name": "hulls"}},
        "ResourceContainers": {"Server": {"Id": "1"}, "Collection": {"Id": "2", "BaseUrl": f"{place}/"}},
    }
    event = parse(body)
    assert isinstance(event, events.PullRequestCreated)
    assert (event.envelope.organisation, event.number, event.actor.display_name) == ("docks", 3, "Ada Holm")
    assert event.repository == events.Repository(id="r-3", name="hulls")


def test_the_organisation_is_found_where_events_of_code_name_it() -> None:
    bare = known("git.pullrequest.created", resourceContainers=None)
    resource = bare["resource"]
    assert isinstance(resource, dict)
    assert parse({**bare, "resource": {**resource, "url": None}}).envelope.organisation == "harbour"
    assert (
        parse(delivery("git.push", {}, resourceContainers={"collection": {"id": BASE}}), "Pier").envelope.organisation
        == "pier"
    )


# Microsoft's own payloads: their approvals leave the pipeline out, and none has a work item without a number.
@pytest.mark.parametrize("file", documented())
def test_every_documented_payload_has_its_class_and_its_subject(file: Path) -> None:
    body = json.loads(file.read_text(encoding="utf-8-sig"))
    event = parse(body)
    assert event.envelope.created_at is not None
    if body["eventType"] in OPAQUE:
        assert event == OpaqueEvent(envelope=event.envelope, resource=body["resource"])
        return
    kind, about, _ = KINDS[body["eventType"]]
    assert type(event) is kind
    assert event.subject is not None
    assert event.subject.kind is (SubjectKind.APPROVAL if "approval" in body["eventType"] else about)
    assert event.subject.id.strip("0-")
    assert type(event).model_validate_json(event.model_dump_json()) == event
    assert parse(recased(body, lambda name: name[:1].upper() + name[1:])) == event
