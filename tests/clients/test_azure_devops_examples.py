"""Answers that Microsoft publishes as examples are read by the client, each as what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.answers_code import (
    Commit,
    PullRequest,
    Push,
    Ref,
    RefUpdateResult,
    Repository,
    Reviewer,
    Thread,
    ThreadComment,
)
from tests.microsoft import FOLDER, needs_microsoft

KINDS: dict[str, type[Answer]] = {
    "commits": Commit,
    "pullRequestReviewers": Reviewer,
    "pullRequestThreadComments": ThreadComment,
    "pullRequestThreads": Thread,
    "pullRequests": PullRequest,
    "pushes": Push,
    "refs": Ref,
    "repositories": Repository,
}
pytestmark = needs_microsoft


def answers(kind: str) -> list[tuple[str, Any]]:
    """Everything that the examples of a kind answer, one by one, with the file that it is from."""
    found: list[tuple[str, Any]] = []
    for path in sorted((Path(FOLDER) / "examples" / "git" / "7.2" / "httpExamples" / kind).glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8-sig"))["responses"]
        for response in told.values():
            body = response.get("body")
            found += [
                (path.name, one) for one in (body["value"] if isinstance(body, dict) and "value" in body else [body])
            ]
    return [(name, _itself(body)) for name, body in found if body]


def _itself(body: Any) -> Any:
    """One answer tells of a repository together with the server that holds it."""
    return body["repository"] if isinstance(body, dict) and "serverUrl" in body else body


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_read(kind: str) -> None:
    listed = answers(kind)
    assert listed
    for name, body in listed:
        answer = RefUpdateResult if isinstance(body, dict) and "updateStatus" in body else KINDS[kind]
        read = answer.model_validate(body)
        empty = {field for field, value in read if value in ("", None, 0, [])}
        told = {key for key in (body if isinstance(body, dict) else {}) if body[key] not in ("", None, 0, [])}
        aliases = {field: info.alias or field for field, info in answer.model_fields.items()}
        lost = [field for field in empty if aliases[field] in told]
        assert lost == [], f"{name}: {lost} are told, and read as nothing"
