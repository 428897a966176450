"""What documented requests about code take for granted: repositories, commits, pull requests, policies."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import git_edits, pull_request_edits
from pointsman.sandbox.azure_devops.bodies import each, inner, text
from pointsman.sandbox.azure_devops.config import ADA
from pointsman.sandbox.azure_devops.git_state import (
    NO_COMMIT,
    Commit,
    FileChange,
    Moved,
    PullRequest,
    Repository,
    Reviewer,
    Thread,
    ThreadComment,
    made,
)
from pointsman.sandbox.azure_devops.policy_state import WORK_ITEMS, Policy, Scope
from tests.sandbox.prepared import HOME, UUID, Ground

REPOSITORY = re.compile(rf"/git/repositories/({UUID})", re.IGNORECASE)
COMMIT = re.compile(r"/commits/([0-9a-f]{40})", re.IGNORECASE)
PUSH = re.compile(r"/pushes/(\d+)", re.IGNORECASE)
PULL_REQUEST = re.compile(r"/pullrequests/(\d+)", re.IGNORECASE)
REVIEWER = re.compile(rf"/reviewers/({UUID})", re.IGNORECASE)
THREAD = re.compile(r"/threads/(\d+)", re.IGNORECASE)
POLICY = re.compile(r"/policy/configurations/(\d+)", re.IGNORECASE)
MAIN, LIVE = "refs/heads/master", "refs/heads/live"


class PreparedCode:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def for_request(self, project: str, method: str, path: str, query: Mapping[str, str], body: Json) -> None:
        asked = body if isinstance(body, dict) else {}
        if named := REPOSITORY.search(path):
            repository = self._repository(project or self._ground.project(HOME), named[1].lower())
            self._commits(repository, path, body)
            for name in ("searchCriteria.itemVersion.version", "searchCriteria.compareVersion.version"):
                if re.fullmatch("[0-9a-f]{40}", query.get(name, "")):
                    self._commit(repository, query[name])
            for name in (text(asked, "sourceRefName"), text(asked, "targetRefName")):
                if name:
                    self._push(repository, name, {"/work": name})
            for one in each(asked, "reviewers"):
                self._ground.person(known_id=text(one, "id"))
            if numbered := PULL_REQUEST.search(path):
                self._pull_request(repository, int(numbered[1]), method, path, asked)
        if parent := text(inner(asked, "parentRepository"), "id"):
            self._repository(self._ground.project(text(inner(asked, "project"), "id")), parent)
        if numbered := POLICY.search(path):
            self._policy(project, int(numbered[1]))

    def _repository(self, project: str, number: str) -> Repository:
        """With two branches and the file that everybody reads first."""
        found = made(self._ground.organisation, project, "Documented")
        found.id = number
        self._ground.world.code.repositories(self._ground.organisation, project).append(found)
        for branch in (MAIN, LIVE):
            self._push(found, branch, {"/README.md": branch})
        return found

    def _push(self, repository: Repository, branch: str, files: Mapping[str, str]) -> Commit:
        changes = [FileChange(path, "add", content) for path, content in files.items()]
        move = Moved(branch, repository.refs.get(branch, NO_COMMIT), NO_COMMIT)
        git_edits.push(self._ground.world, repository, move, [("Documented", changes)], ADA)
        return repository.commits[repository.refs[branch]]

    def _commits(self, repository: Repository, path: str, body: Json) -> None:
        """The commits, pushes and branches that are named, and the files that a push changes."""
        if commit := COMMIT.search(path):
            self._commit(repository, commit[1].lower())
        if push := PUSH.search(path):
            repository.pushes.append(replace(repository.pushes[0], id=int(push[1])))
        moves = body if isinstance(body, list) else each(body, "refUpdates") if isinstance(body, dict) else []
        commits = each(body, "commits") if isinstance(body, dict) else []
        files = {name: "" for commit in commits for change in each(commit, "changes") for name in _stood(change)}
        for move in (move for move in moves if isinstance(move, dict)):
            name, old, new = (text(move, key) for key in ("name", "oldObjectId", "newObjectId"))
            if old == NO_COMMIT:
                repository.refs.pop(name, None)
            elif old:
                self._commit(repository, old, files)
                if name in repository.refs:
                    repository.refs[name] = old
            if new and new != NO_COMMIT:
                self._commit(repository, new)

    def _commit(self, repository: Repository, number: str, files: Mapping[str, str] | None = None) -> None:
        first = repository.commits[repository.refs[LIVE]]
        repository.commits[number] = replace(first, id=number, tree={**first.tree, **(files or {})})

    def _pull_request(self, repository: Repository, number: int, method: str, path: str, body: dict[str, Json]) -> None:
        self._push(repository, "refs/heads/work", {"/work": "done"})
        branches, people = ("refs/heads/work", MAIN), []
        if reviewer := REVIEWER.search(path):
            person = self._ground.person(known_id=reviewer[1].lower())
            people = [] if method == "PUT" else [Reviewer(person)]
            if "vote" in body:
                self._ground.asks(person)
        world = self._ground.world
        opened = pull_request_edits.create(world, repository, branches, "Documented", "As documented", ADA, people)
        held = world.code.pull_requests_of(self._ground.organisation)
        held[number] = held.pop(opened.id)
        opened.id = number
        if thread := THREAD.search(path):
            _talk(opened, int(thread[1]))
        if seen := text(inner(body, "lastMergeSourceCommit"), "commitId"):
            self._commit(repository, seen)
            opened.source_commit = seen

    def _policy(self, project: str, number: int) -> None:
        organisation, at = self._ground.organisation, self._ground.world.clock.now()
        held = self._ground.world.code.policies.of(organisation)
        held[number] = Policy(
            number, organisation, project, WORK_ITEMS, True, True, {}, (Scope("", MAIN, False),), ADA, at
        )


def _stood(change: Mapping[str, Json]) -> list[str]:
    """Files that a change takes for granted."""
    asked = {**change}
    kind, path = text(asked, "changeType"), text(inner(asked, "item"), "path")
    return [path] if kind in ("edit", "delete") else [text(asked, "sourceServerItem")] if kind == "rename" else []


def _talk(opened: PullRequest, number: int) -> None:
    said = ThreadComment(1, 0, "Documented", ADA, opened.at)
    opened.threads.append(Thread(number, "active", [said], opened.at))
