"""What is delivered: the envelope of an event, and its resource with the traps of the real ones.

A created, commented, deleted or restored item is the resource itself. Of an update, the resource is the *update*:
its `id` is the number of the update, and the item's is `workItemId`.
"""

from collections.abc import Mapping
from html import escape

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.edits import HISTORY, Happened
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.process import COMMON
from pointsman.sandbox.azure_devops.rendering import (
    Links,
    comment_ref,
    fields_json,
    item_links,
    listed_json,
    relations_json,
    update_json,
)
from pointsman.sandbox.azure_devops.state import Item
from pointsman.sandbox.azure_devops.subscriptions import NO_SUBSCRIPTION, Subscription


def envelope(
    subscription: Subscription, number: int, event_id: str, happened: Happened | Told, links: Links, at: str
) -> dict[str, Json]:
    """One notification. The event's id is the same for all subscriptions that hear of it, `number` is not."""
    told = _told(happened, links, subscription.consumer)
    return _enveloped(subscription, subscription.id, number, event_id, _project(happened), told, links, at)


def sample(subscription: Subscription, number: int, event_id: str, links: Links, at: str) -> dict[str, Json]:
    """What comes when somebody presses Test: an invented item, of a subscription without a number."""
    text = f"This is a test of {subscription.event_type}."
    item: dict[str, Json] = {"id": 5, "rev": 1, "fields": {"System.Title": text}, "url": links.item(5)}
    update: dict[str, Json] = {"id": 2, "workItemId": 5, "rev": 2, "url": f"{links.item(5)}/updates/2"}
    resource = update if subscription.event_type == "workitem.updated" else item
    details = subscription.consumer.get("resourceDetailsToSend", "").lower()
    message = {"text": text, "html": text, "markdown": text}
    told: dict[str, Json] = {
        "message": _wanted(message, subscription.consumer.get("messagesToSend", "")),
        "detailedMessage": _wanted(message, subscription.consumer.get("detailedMessagesToSend", "")),
        "resource": None if details == "none" else resource,
    }
    project = links.organisation.projects[0].name
    return _enveloped(subscription, NO_SUBSCRIPTION, number, event_id, project, told, links, at)


def _enveloped(
    subscription: Subscription,
    subscription_id: str,
    number: int,
    event_id: str,
    project: str,
    told: Mapping[str, Json],
    links: Links,
    at: str,
) -> dict[str, Json]:
    organisation = links.organisation
    base = f"{links.root}/"
    return {
        "subscriptionId": subscription_id,
        "notificationId": number,
        "id": event_id,
        "eventType": subscription.event_type,
        "publisherId": "tfs",
        **told,
        "resourceVersion": subscription.resource_version,
        "resourceContainers": {
            "collection": {"id": organisation.collection_id, "baseUrl": base},
            "account": {"id": organisation.account_id, "baseUrl": base},
            "project": {"id": links.project_id(project), "baseUrl": base},
        },
        "createdDate": at,
    }


def _project(happened: Happened | Told) -> str:
    return happened.project if isinstance(happened, Told) else happened.item.project


def _told(happened: Happened | Told, links: Links, inputs: Mapping[str, str]) -> dict[str, Json]:
    details = inputs.get("resourceDetailsToSend", "")
    if isinstance(happened, Told):
        message = detailed = happened.message
        resource = happened.shown(details.lower(), plain=links.plain)
    else:
        message, detailed = _message(happened, links), _details(happened, links)
        resource = _resource(happened, links, details)
    return {
        "message": _wanted(message, inputs.get("messagesToSend", "")),
        "detailedMessage": _wanted(detailed, inputs.get("detailedMessagesToSend", "")),
        "resource": resource,
    }


def _resource(happened: Happened, links: Links, details: str) -> Json:
    if details.lower() == "none":
        return None
    resource = _update(happened, links) if happened.kind == "updated" else _item(happened, links)
    if details.lower() == "minimal":
        return {name: resource[name] for name in ("id", "workItemId", "url") if name in resource}
    return resource


def _item(happened: Happened, links: Links) -> dict[str, Json]:
    item = happened.item
    resource = listed_json(item, links, "relations")
    resource["_links"] = item_links(item, links)
    if happened.kind == "deleted":
        url = f"{links.tracking}/recyclebin/{item.id}"
        resource["url"] = url
        kept = ("workItemType", "fields")
        resource["_links"] = {"self": {"href": url}, **{n: v for n, v in item_links(item, links).items() if n in kept}}
    if happened.kind != "commented":
        resource.pop("commentVersionRef", None)
    return resource


def _update(happened: Happened, links: Links) -> dict[str, Json]:
    item, update = happened.item, happened.update
    resource = update_json(item, update, links)
    url = links.item(item.id)
    resource["_links"] = {
        "self": {"href": f"{url}/updates/{update.id}"},
        "workItemUpdates": {"href": f"{url}/updates"},
        "parent": {"href": url},
        "html": {"href": links.page(item.id)},
    }
    resource["revision"] = _revision(item, links)
    if update.comment:
        resource["commentVersionRef"] = comment_ref(item, update.comment, links)
    return resource


def _revision(item: Item, links: Links) -> dict[str, Json]:
    url = f"{links.item(item.id)}/revisions/{item.rev}"
    revision: dict[str, Json] = {
        "id": item.id,
        "rev": item.rev,
        "fields": fields_json(item.fields, links),
        "_links": {
            "self": {"href": url},
            "workItemRevisions": {"href": f"{links.item(item.id)}/revisions"},
            "parent": {"href": links.item(item.id)},
        },
        "url": url,
    }
    if item.relations:
        revision["relations"] = relations_json(item.relations, links)
    return revision


def _message(happened: Happened, links: Links) -> dict[str, str]:
    item = happened.item
    name = f"{item.kind.name} #{item.id}"
    done = "commented on" if happened.kind == "commented" else happened.kind
    rest = f"({item.fields.get('System.Title', '')}) {done} by {happened.update.by.display_name}."
    if happened.kind == "deleted":  # there is no page to link to
        return {"text": f"{name} {rest}", "html": escape(f"{name} {rest}"), "markdown": f"[{name}] {rest}"}
    page = links.page(item.id)
    return {
        "text": f"{name} {rest}\r\n({page})",
        "html": f'<a href="{escape(page)}">{escape(name)}</a> {escape(rest)}',
        "markdown": f"[{name}]({page}) {rest}",
    }


def _details(happened: Happened, links: Links) -> dict[str, str]:
    message = _message(happened, links)
    lines = [f"{name}: {value}" for name, value in _listed(happened)]
    points = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return {
        "text": message["text"] + "\r\n\r\n" + "".join(f"- {line}\r\n" for line in lines),
        "html": f"{message['html']}<ul>{points}</ul>",
        "markdown": message["markdown"] + "\r\n\r\n" + "".join(f"* {line}\r\n" for line in lines),
    }


def _listed(happened: Happened) -> list[tuple[str, object]]:
    fields = happened.item.fields
    if happened.kind == "updated":
        changed = happened.update.changed.get("System.State")
        return [("New State", changed.new)] if changed else []
    listed: list[tuple[str, object]] = [("State", fields.get("System.State"))]
    if happened.kind in ("created", "commented"):
        listed.append(("Comment", fields.get(HISTORY, "")))
    if f"{COMMON}Severity" in fields:
        listed.append(("Severity", fields[f"{COMMON}Severity"]))
    return listed


def _wanted(message: dict[str, str], which: str) -> Json:
    if which.lower() in ("", "all"):
        return {**message}
    return {which.lower(): message[which.lower()]} if which.lower() in message else None
