"""Builds, runs, approvals, releases, service connections and alerts, where samples contradict each other too."""

from datetime import UTC, datetime

import pytest

from pointsman.contracts import events
from pointsman.contracts.base import Json
from pointsman.contracts.events import ApprovalStep, Person
from pointsman.domain.events.reading import parse
from tests.domain.events.samples import APPROVAL, BUILD, RELEASE, delivery, known

WHO = Person(id="ada-1", display_name="Ada Holm", unique_name="ada@harbour.example")


def test_a_build_tells_what_was_built_and_how_it_ended() -> None:
    event = parse(known("build.complete"))
    assert isinstance(event, events.BuildCompleted)
    assert (event.build_id, event.number, event.result) == (90, "20260301.2", "partiallySucceeded")
    assert (event.definition_id, event.definition, event.actor) == (4, "crane-ci", WHO)
    assert (event.branch, event.commit) == ("refs/pull/17/merge", "b" * 40)
    assert event.started_at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_old_build_service_tells_result_source_and_people_elsewhere() -> None:
    old: dict[str, Json] = {
        "id": 2,
        "status": "failed",
        "sourceGetVersion": f"LG:refs/heads/main:{'e' * 40}",
        "requests": [{"requestedFor": "Bo Lind <bo@harbour.example>"}],
    }
    event = parse(delivery("build.complete", old))
    assert isinstance(event, events.BuildCompleted)
    assert (event.result, event.branch, event.commit) == ("failed", "refs/heads/main", "e" * 40)
    assert event.actor == Person(display_name="Bo Lind", unique_name="bo@harbour.example")


def test_a_build_that_is_completed_without_result_has_none() -> None:
    event = parse(delivery("build.complete", {**BUILD, "result": None}))
    assert isinstance(event, events.BuildCompleted)
    assert event.result == ""


@pytest.mark.parametrize(
    ("event_type", "state", "result"),
    [("run", "completed", "failed"), ("stage", "completed", "failed"), ("job", "running", "")],
)
def test_a_run_a_stage_and_a_job_tell_their_own_state(event_type: str, state: str, result: str) -> None:
    event = parse(known(f"ms.vss-pipelines.{event_type}-state-changed-event"))
    assert isinstance(event, events.RunStateChanged | events.StageStateChanged | events.JobStateChanged)
    assert (event.state, event.result) == (state, result)
    assert (event.pipeline, event.run_id, event.run) == ("crane-ci", 90, "20260301.2")


def test_a_run_concerns_the_first_repository_that_it_uses() -> None:
    repository = parse(known("ms.vss-pipelines.run-state-changed-event")).repository
    assert repository is not None
    assert (repository.name, repository.url) == ("cranes", "https://dev.azure.com/Harbour/Quay/_git/cranes")


def test_a_stage_may_be_told_flat() -> None:
    event = parse(delivery("ms.vss-pipelines.stage-state-changed-event", {"runId": 90, "stageName": "Deploy"}))
    assert isinstance(event, events.StageStateChanged)
    assert (event.run_id, event.stage) == (90, "Deploy")


def test_an_approval_counts_who_acted_before_who_was_asked() -> None:
    event = parse(known("ms.vss-pipelinechecks-events.approval-completed"))
    assert isinstance(event, events.ApprovalCompleted)
    assert (event.status, event.stage, event.approvers_min, event.run_id) == ("approved", "Deploy", 1, 90)
    assert event.steps == (ApprovalStep(approver=WHO, status="approved"),)


def test_an_approval_may_not_say_which_pipeline_waits() -> None:
    event = parse(delivery("ms.vss-pipelinechecks-events.approval-pending", APPROVAL))
    assert isinstance(event, events.ApprovalPending)
    assert (event.pipeline_id, event.run_id) == (0, 0)
    assert str(event.subject) == "approval 9c9c9c9c-1111-4222-8333-444455556666"


def test_a_release_is_made_by_one_and_abandoned_by_another() -> None:
    made, abandoned = (parse(known(f"ms.vss-release.release-{what}-event")) for what in ("created", "abandoned"))
    assert isinstance(made, events.ReleaseCreated)
    assert isinstance(abandoned, events.ReleaseAbandoned)
    assert (made.actor, made.status, made.definition) == (WHO, "active", "crane-cd")
    assert (abandoned.actor.display_name, abandoned.status) == ("Bo Lind", "abandoned")


def test_a_release_id_may_be_a_word() -> None:
    event = parse(delivery("ms.vss-release.release-abandoned-event", {"release": {**RELEASE, "id": "release-id"}}))
    assert isinstance(event, events.ReleaseAbandoned)
    assert event.release_id == "release-id"


@pytest.mark.parametrize(("what", "status"), [("started", "succeeded"), ("completed", "failed")])
def test_a_deployment_finds_release_and_environment_wherever_they_are(what: str, status: str) -> None:
    event = parse(known(f"ms.vss-release.deployment-{what}-event"))
    assert isinstance(event, events.DeploymentStarted | events.DeploymentCompleted)
    assert (event.release_id, event.release, event.definition) == ("31", "Release-31", "crane-cd")
    assert (event.environment, event.status) == ("Pier 1", status)


@pytest.mark.parametrize("what", ["pending", "completed"])
def test_an_approval_of_a_deployment_names_release_and_environment(what: str) -> None:
    event = parse(known(f"ms.vss-release.deployment-approval-{what}-event"))
    assert isinstance(event, events.DeploymentApprovalPending | events.DeploymentApprovalCompleted)
    assert (event.release_id, event.definition, event.environment) == ("31", "crane-cd", "Pier 1")
    assert (event.approval_id, event.approval_type, event.status, event.actor) == ("8", "preDeploy", "pending", WHO)


def test_a_service_connection_is_told_without_its_secret() -> None:
    event = parse(delivery("ms.vss-endpoint.endpoint-created", {"id": "e", "authorization": {"parameters": "s3cret"}}))
    assert isinstance(event, events.ServiceConnectionCreated)
    assert "s3cret" not in event.model_dump_json()


def test_an_alert_has_its_own_state_and_its_repository_by_url() -> None:
    event = parse(known("ms.vss-alerts.alert-state-changed-event"))
    assert isinstance(event, events.AlertStateChanged)
    assert (event.alert_id, event.alert_type, event.severity, event.state) == (6, "secret", "critical", "fixed")
    assert str(event.subject) == "alert 6 (cranes)"
