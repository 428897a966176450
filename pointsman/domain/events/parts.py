"""What events of every kind are put together from: envelope, people, repositories, and the head that all share."""

import re
from collections.abc import Callable
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.contracts.events import Envelope, Event, Person, Repository
from pointsman.contracts.subjects import Subject
from pointsman.domain.events import subjects
from pointsman.domain.loose import (
    ID_CHARS,
    IDENTITY,
    INT64_MAX,
    NO_GUID,
    URL_CHARS,
    Object,
    each,
    get,
    identity,
    inner,
    moment,
    name_or_number,
    objects,
    text,
    whole,
)

USER_IN_URL = re.compile(r"//[^/@]*@")


class Head(NamedTuple):
    """The part of an event that is read in the same way for all."""

    envelope: Envelope
    subject: Subject | None = None
    repository: Repository | None = None


Reader = Callable[[Head, Object], Event]


def envelope(body: Object, organisation: str) -> Envelope:
    subscription = text(get(body, "subscriptionId"), ID_CHARS)
    return Envelope(
        event_type=text(get(body, "eventType"), ID_CHARS),
        event_id=text(get(body, "id"), ID_CHARS),
        publisher=text(get(body, "publisherId"), ID_CHARS),
        subscription_id=subscription,
        notification_id=whole(get(body, "notificationId"), INT64_MAX),
        resource_version=text(get(body, "resourceVersion"), ID_CHARS),
        created_at=moment(get(body, "createdDate")),
        organisation=organisation,
        project_id=name_or_number(get(inner(body, "resourceContainers", "project"), "id")),
        text=text(get(inner(body, "message"), "text")),
        is_test=subscription == NO_GUID,
    )


def head(told: Envelope, resource: Object) -> Head:
    return Head(told, subjects.subject_of(told.event_type, resource), repository_told(resource))


def repository_told(resource: Object) -> Repository | None:
    """The repository that an event concerns, whether it is told as an object, by id, or by its URL only.

    Of a pipeline that uses many it is the first.
    """
    found = subjects.repository_of(resource) or next(iter(each(get(resource, "repositories"))), {})
    if found:
        return repository(found)
    told = Repository(
        id=subjects.repository_id(resource),
        name=subjects.repository_name(resource),
        project=subjects.project_of(resource),
        url=_address(get(resource, "repositoryUrl")),
    )
    return told if told.id or told.name else None


def repository(told: Object) -> Repository:
    url = get(told, "url")
    in_url = subjects.in_url(subjects.NAME_IN_URL, url)
    return Repository(
        id=name_or_number(get(told, "id")),
        name=text(get(told, "name")) or in_url,
        project=text(get(inner(told, "project"), "name")),
        url=_address(get(told, "remoteUrl")) or _address(get(told, "webUrl")) or (_address(url) if in_url else ""),
    )


def person(*told: Json) -> Person:
    """The first who is somebody. Told as `Ada <ada@x.org>`, as an object, or as an object whose names are like that."""
    found = (_person(one) for one in told)
    return next((one for one in found if one != Person()), Person())


def _person(told: Json) -> Person:
    fields = objects(told)
    shown, unique = text(get(fields, "displayName") if fields else told), identity(told)
    return Person(
        id=name_or_number(get(fields, "id")),
        display_name=IDENTITY.sub("", shown).strip() or shown,
        unique_name="" if unique == shown and not get(fields, "uniqueName") else unique,
    )


def _address(url: Json) -> str:
    """Without the user in it, beside whom a token may stand."""
    return USER_IN_URL.sub("//", text(url, URL_CHARS), count=1)
