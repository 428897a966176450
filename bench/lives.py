"""Deliveries as an organisation sends them: lives of work items with comments, links, deletions and restorations, and
the code that serves them between. Each is of its own event, as large as real ones, and the same for the same number.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pointsman.contracts.base import Json

ORGANISATION, PROJECT = "fabrikam", "Fabrikam"
BASE = f"https://dev.azure.com/{ORGANISATION}"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SUBSCRIPTION, OTHER_SUBSCRIPTION = "7d1f0c55-2222-4333-8444-555566667777", "8e2f0c55-2222-4333-8444-555566667777"
PERSON: Json = {"displayName": "Ada Holm", "uniqueName": "ada@fabrikam.example", "id": "a-1", "descriptor": "aad.Ada"}
DESCRIPTION_CHARS, CUSTOM_FIELDS = 3_500, 40
STEPS = ("title", "comment", "link", "state", "edit", "unlink", "delete", "restore")
CODE_EVERY = 10
SHARE = 0.1
LATE_MAX = 200
"""How many deliveries may overtake one that is late."""
Fields = dict[str, Json]


@dataclass
class Life:
    """An item as its last event left it."""

    item: int
    type_name: str
    custom_fields: int = CUSTOM_FIELDS
    step: int = 0
    rev: int = 0
    update: int = 0
    fields: Fields = field(default_factory=dict)

    def next(self, at: datetime) -> tuple[str, Fields]:
        """What happens next: the type of the event and its resource."""
        if not self.step:
            self.fields = self._first()
        name = STEPS[(self.step - 1) % len(STEPS)] if self.step else "create"
        self.step += 1
        if name in ("link", "unlink"):
            return "updated", self._linked("added" if name == "link" else "removed")
        self.rev += 1
        self.fields |= {"System.Rev": self.rev, "System.ChangedDate": at.isoformat()}
        match name:
            case "title":
                return "updated", self._updated(
                    at, {"System.Title": f"Crane {self.item} stops, said {self.step} times"}
                )
            case "state":
                state = "Active" if self.fields["System.State"] == "New" else "New"
                return "updated", self._updated(at, {"System.State": state})
            case "edit":
                told = self._updated(at, {"System.History": f"<p>Edited at {self.step}</p>"})
                return "updated", {**told, "commentVersionRef": {"commentId": self.step - 3, "version": 2}}
            case "comment":
                said: Json = {**self.fields, "System.History": f"<p>Seen again, {self.step}</p>"}
                version: Json = {"commentId": self.step, "version": 1}
                return "commented", {**self._whole(), "fields": said, "commentVersionRef": version}
        return {"create": "created", "delete": "deleted", "restore": "restored"}[name], self._whole()

    def _first(self) -> Fields:
        line = f"Crane {self.item} stops, and starts again by itself. "
        return {
            "System.TeamProject": PROJECT,
            "System.AreaPath": f"{PROJECT}\\Cranes",
            "System.WorkItemType": self.type_name,
            "System.State": "New",
            "System.Title": f"Crane {self.item} stops",
            "System.ChangedBy": PERSON,
            "System.Description": line * (DESCRIPTION_CHARS // len(line)),
            **{f"Custom.Field{number}": f"value {number}" for number in range(self.custom_fields)},
        }

    @property
    def _url(self) -> str:
        return f"{BASE}/_apis/wit/workItems/{self.item}"

    def _whole(self) -> Fields:
        self.update += 1
        return {"id": self.item, "rev": self.rev, "fields": dict(self.fields), "url": self._url}

    def _entry(self) -> Fields:
        self.update += 1
        return {
            "id": self.update,
            "workItemId": self.item,
            "rev": self.rev,
            "revisedBy": PERSON,
            "url": f"{self._url}/updates/{self.update}",
        }

    def _updated(self, at: datetime, values: Fields) -> Fields:
        changes: Fields = {
            name: {"oldValue": self.fields.get(name), "newValue": value}
            for name, value in {**values, "System.ChangedDate": at.isoformat(), "System.Rev": self.rev}.items()
        }
        self.fields |= {name: value for name, value in values.items() if name != "System.History"}
        revision: Json = {"id": self.item, "rev": self.rev, "fields": dict(self.fields), "url": self._url}
        return {**self._entry(), "fields": changes, "revision": revision}

    def _linked(self, how: str) -> Fields:
        """A link to the next item: the revision stays what it was."""
        link: Json = {"rel": "System.LinkTypes.Related", "url": f"{BASE}/_apis/wit/workItems/{self.item + 1}"}
        revision: Json = {"id": self.item, "rev": self.rev, "fields": dict(self.fields), "url": self._url}
        return {**self._entry(), "relations": {how: [link]}, "revision": revision}


def lives(
    count: int, items: int, types: Sequence[str] = ("Task",), custom_fields: int = CUSTOM_FIELDS
) -> Iterator[bytes]:
    """So many deliveries in the order in which things happened; each tenth is a push that mentions an item."""
    told = [Life(number, types[number % len(types)], custom_fields) for number in range(1, items + 1)]
    turn = 0
    for number in range(1, count + 1):
        at = START + timedelta(seconds=number)
        if number % CODE_EVERY == 0:
            yield _body(number, "git.push", _push(number, number % items + 1), at)
            continue
        kind, resource = told[turn % items].next(at)
        turn += 1
        yield _body(number, f"workitem.{kind}", resource, at)


def _push(number: int, item: int) -> Fields:
    files = "".join(f" Change file {at} of the crane's controller." for at in range(60))
    commits: Json = [
        {"commitId": f"{number * 3 + at:040x}", "author": PERSON, "comment": f"Mend it #{item}.{files}"}
        for at in range(3)
    ]
    return {
        "pushId": number,
        "commits": commits,
        "refUpdates": [{"name": "refs/heads/main", "newObjectId": f"{number * 3 + 2:040x}"}],
        "repository": {"id": "r-1", "name": "cranes", "project": {"name": PROJECT}},
        "pushedBy": PERSON,
    }


def _body(number: int, event_type: str, resource: Fields, at: datetime) -> bytes:
    text = f"{event_type} number {number}"
    place: Json = {"id": "c-1", "baseUrl": f"{BASE}/"}
    told: Json = {
        "subscriptionId": SUBSCRIPTION,
        "notificationId": number,
        "id": f"c0ffee00-3333-4444-8555-{number:012d}",
        "eventType": event_type,
        "publisherId": "tfs",
        "message": {"text": text, "html": f"<p>{text}</p>", "markdown": text},
        "resource": resource,
        "resourceVersion": "5.1-preview.3",
        "resourceContainers": {"collection": place, "account": place, "project": place},
        "createdDate": at.isoformat(),
    }
    return json.dumps(told).encode()


def disordered(bodies: Sequence[bytes], chance: random.Random, share: float = SHARE) -> list[bytes]:
    """The same, a share of them late, and a share of them once more through another subscription."""
    placed = [
        (number + (chance.randint(1, LATE_MAX) if chance.random() < share else 0), body)
        for number, body in enumerate(bodies)
    ]
    again = chance.sample(range(len(bodies)), int(len(bodies) * share))
    placed += [
        (
            number + chance.randint(0, 2 * LATE_MAX),
            bodies[number].replace(SUBSCRIPTION.encode(), OTHER_SUBSCRIPTION.encode()),
        )
        for number in again
    ]
    return [body for _, body in sorted(placed, key=lambda pair: pair[0])]
