"""Operations on the graph of users, service principals and groups, and on identities. Teams are no groups here."""

from collections.abc import Sequence
from uuid import UUID

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.bodies import needed, object_in, text
from pointsman.sandbox.azure_devops.calls import JSON, NO_BODY, Call, Operation, Reply
from pointsman.sandbox.azure_devops.config import Identity, Principal
from pointsman.sandbox.azure_devops.directory import Group, project_of_scope, scope_descriptor
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.listing import by_token, in_one

GRAPH = "Microsoft.VisualStudio.Services.Graph"
USER_TYPE = "Microsoft.IdentityModel.Claims.ClaimsIdentity"
GROUP_TYPE = "Microsoft.TeamFoundation.Identity"
DIRECTIONS = ("up", "down")
Subject = Identity | Group


def users(call: Call) -> Reply:
    """The service has no order here either. Groups and service principals are in lists of their own."""
    _scope(call)
    return by_token(call, _people(call), lambda one: _subject_json(call, one))


def user(call: Call) -> Reply:
    found = next((one for one in _people(call) if one.descriptor == call.place["descriptor"]), None)
    return Reply(_subject_json(call, found or _unknown(call.place["descriptor"])))


def service_principals(call: Call) -> Reply:
    _scope(call)
    return by_token(call, call.world.config.principals, lambda one: _principal_json(call, one))


def groups(call: Call) -> Reply:
    project = _scope(call)
    found = [one for one in _groups(call) if not project or one.project == project]
    return by_token(call, found, lambda one: _subject_json(call, one))


def group(call: Call) -> Reply:
    return Reply(_subject_json(call, _group(call, call.place["descriptor"])))


def create_group(call: Call) -> Reply:
    """Of the organisation, of the project whose scope is named, or of Entra, whose groups have any name here."""
    body, containers = object_in(call.body), call.query.get("groupDescriptors", "")
    origin, key = text(body, "originId").lower(), text(body, "storageKey").lower()
    name = f"Group {origin[:8]}" if origin else needed(body, "displayName")
    made = Group(call.organisation.name, _scope(call), name, text(body, "description"), origin, key)
    over = [_group(call, one) for one in containers.lower().split(",") if one]
    if any(one.descriptor == made.descriptor for one in _groups(call)):
        message = f"TF50600: A group with the name {made.name} already exists."
        raise ServiceError(409, message, "GroupAlreadyExistsException", namespace=GRAPH)
    call.world.directory.add(made)
    call.world.directory.members |= {(made.descriptor, one.descriptor): None for one in over}
    return Reply(_subject_json(call, made), 201)


def delete_group(call: Call) -> Reply:
    call.world.directory.remove(_group(call, call.place["descriptor"]))
    return Reply(status=204)


def memberships(call: Call) -> Reply:
    """Direct ones, upwards unless `direction=down`."""
    subject = call.place["descriptor"]
    direction = call.query.get("direction", "up").lower()
    if direction not in DIRECTIONS:
        raise invalid(f"The request is invalid: {direction!r} is not a valid value for direction.")
    _subject(call, subject)
    held = call.world.directory
    pairs = (
        [(subject, over) for over in held.groups_over(subject)]
        if direction == "up"
        else [(below, subject) for below in held.members_below(subject)]
    )
    return in_one(pairs, lambda pair: _membership_json(call, *pair))


def membership(call: Call) -> Reply:
    pair = (call.place["descriptor"], call.place["container"])
    _groups(call)
    if pair not in call.world.directory.members:
        message = f"TF14045: {pair[0]} is no member of {pair[1]}."
        raise ServiceError(404, message, "GraphMembershipNotFoundException", namespace=GRAPH)
    return Reply(_membership_json(call, *pair))


def add_member(call: Call) -> Reply:
    pair = (call.place["descriptor"], call.place["container"])
    _subject(call, pair[0])
    _group(call, pair[1])
    call.world.directory.members[pair] = None
    return Reply(_membership_json(call, *pair), 201)


def remove_member(call: Call) -> Reply:
    membership(call)
    del call.world.directory.members[(call.place["descriptor"], call.place["container"])]
    return Reply(status=200)


def membership_state(call: Call) -> Reply:
    """Nobody leaves the stand-in, so whoever is known is active."""
    subject = _subject(call, call.place["descriptor"])
    links = {"self": _url(call, "MembershipStates", subject.descriptor), "member": _own_url(call, subject)}
    return Reply({"active": True, "_links": {name: {"href": url} for name, url in links.items()}})


def descriptor(call: Call) -> Reply:
    wanted = call.place["key"].lower()
    subject = next((one for one in _subjects(call) if one.id == wanted), None)
    project = next((one for one in call.organisation.projects if one.id_in(call.organisation.name) == wanted), None)
    value = subject.descriptor if subject else scope_descriptor(call.organisation, project) if project else ""
    if not value:
        raise _not_found(wanted)
    urls = {"self": _url(call, "Descriptors", wanted), "storageKey": _url(call, "StorageKeys", value)}
    return Reply({"value": value, "_links": {name: {"href": url} for name, url in urls.items()}})


def storage_key(call: Call) -> Reply:
    wanted = call.place["descriptor"]
    project = project_of_scope(call.organisation, wanted)
    value = project.id_in(call.organisation.name) if project else _subject(call, wanted).id
    urls = {"self": _url(call, "StorageKeys", wanted), "descriptor": _url(call, "Descriptors", value)}
    return Reply({"value": value, "_links": {name: {"href": url} for name, url in urls.items()}})


def identities(call: Call) -> Reply:
    """One for each id that is named, null for those that nobody is; or all that a search finds."""
    if wanted := call.query.get("identityIds", ""):
        return _each(call, [_id(one) for one in wanted.split(",")], {one.id: one for one in _subjects(call)})
    if wanted := call.query.get("subjectDescriptors", ""):
        return _each(call, wanted.split(","), {one.descriptor: one for one in _subjects(call)})
    wanted = call.query.get("filterValue", "").lower()
    if not wanted:
        raise invalid("The request is invalid: neither ids nor a filter are given.", "ArgumentException")
    only_groups = call.query.get("searchFilter", "").lower() == "localgroupname"
    found = [one for one in _subjects(call) if _is_named(one, wanted, only_groups)]
    return in_one(found, lambda one: _identity_json(call, one))


def _each(call: Call, wanted: Sequence[str], held: dict[str, Subject]) -> Reply:
    found = [held.get(one) for one in wanted]
    return in_one(found, lambda one: _identity_json(call, one) if one else None)


def _id(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError as error:
        raise invalid(f"The request is invalid: {value!r} is not a valid value for identityIds.") from error


def _is_named(subject: Subject, wanted: str, only_groups: bool) -> bool:
    if isinstance(subject, Group):
        return only_groups and wanted in (subject.name.lower(), subject.principal_name.lower())
    names = (subject.display_name.lower(), subject.unique_name.lower())
    return not only_groups and any(name.startswith(wanted) for name in names)


def _people(call: Call) -> list[Identity]:
    machines = {one.identity.id for one in call.world.config.principals}
    return list({one.id: one for one in call.world.config.identities if one.id not in machines}.values())


def _groups(call: Call) -> list[Group]:
    return call.world.directory.of(call.organisation, call.world.config.identities)


def _subjects(call: Call) -> list[Subject]:
    return [*call.world.config.identities, *_groups(call)]


def _subject(call: Call, wanted: str) -> Subject:
    return next((one for one in _subjects(call) if one.descriptor == wanted), None) or _unknown(wanted)


def _group(call: Call, wanted: str) -> Group:
    return next((one for one in _groups(call) if one.descriptor == wanted), None) or _unknown(wanted)


def _unknown(wanted: str) -> Group:
    raise _not_found(wanted)


def _not_found(wanted: str) -> ServiceError:
    message = f"VS860016: Could not resolve storage key or descriptor {wanted}."
    return ServiceError(404, message, "GraphSubjectNotFoundException", namespace=GRAPH)


def _scope(call: Call) -> str:
    """Name of the project whose scope the query names; empty where it names none."""
    wanted = call.query.get("scopeDescriptor", "")
    project = project_of_scope(call.organisation, wanted)
    if wanted and project is None:
        raise _not_found(wanted)
    return project.name if project else ""


def _url(call: Call, what: str, *names: str) -> str:
    return "/".join((f"{call.links.root}/_apis/Graph/{what}", *names))


def _own_url(call: Call, subject: Subject) -> str:
    return _url(call, "Groups" if isinstance(subject, Group) else "Users", subject.descriptor)


def _links_json(call: Call, url: str, descriptor: str) -> dict[str, Json]:
    urls = {
        "self": url,
        "memberships": _url(call, "Memberships", descriptor),
        "membershipState": _url(call, "MembershipStates", descriptor),
        "storageKey": _url(call, "StorageKeys", descriptor),
    }
    return {name: {"href": value} for name, value in urls.items()}


def _subject_json(call: Call, subject: Subject) -> dict[str, Json]:
    url = _own_url(call, subject)
    common: dict[str, Json] = {
        "originId": subject.id,
        "_links": _links_json(call, url, subject.descriptor),
        "url": url,
        "descriptor": subject.descriptor,
    }
    if isinstance(subject, Group):
        project = call.links.project_id(subject.project) if subject.project else ""
        home = f"Classification/TeamProject/{project}" if project else f"Framework/IdentityDomain/{_domain(call)}"
        return {
            **common,
            "subjectKind": "group",
            "description": subject.description,
            "domain": f"vstfs:///{home}",
            "principalName": subject.principal_name,
            "mailAddress": None,
            "origin": "aad" if subject.origin_id else "vsts",
            "originId": subject.origin_id or subject.id,
            "displayName": subject.name,
        }
    return {
        **common,
        "subjectKind": "user",
        "metaType": "member",
        "domain": _domain(call),
        "principalName": subject.unique_name,
        "mailAddress": subject.unique_name,
        "origin": "aad",
        "displayName": subject.display_name,
    }


def _principal_json(call: Call, principal: Principal) -> dict[str, Json]:
    """A service principal has no address."""
    who = principal.identity
    url = _url(call, "ServicePrincipals", who.descriptor)
    return {
        "subjectKind": "servicePrincipal",
        "applicationId": principal.client_id,
        "directoryAlias": who.id,
        "domain": principal.tenant_id,
        "principalName": who.id,
        "mailAddress": None,
        "origin": "aad",
        "originId": who.id,
        "displayName": who.display_name,
        "_links": _links_json(call, url, who.descriptor),
        "url": url,
        "descriptor": who.descriptor,
    }


def _membership_json(call: Call, member: str, container: str) -> dict[str, Json]:
    urls = {
        "self": _url(call, "Memberships", member, container),
        "member": _own_url(call, _subject(call, member)),
        "container": _url(call, "Groups", container),
    }
    return {
        "containerDescriptor": container,
        "memberDescriptor": member,
        "_links": {name: {"href": url} for name, url in urls.items()},
    }


def _identity_json(call: Call, subject: Subject) -> dict[str, Json]:
    is_group = isinstance(subject, Group)
    name = subject.principal_name if isinstance(subject, Group) else subject.display_name
    account = subject.name if isinstance(subject, Group) else subject.unique_name
    return {
        "id": subject.id,
        "descriptor": f"{GROUP_TYPE if is_group else USER_TYPE};{_domain(call)}\\{account}",
        "subjectDescriptor": subject.descriptor,
        "providerDisplayName": name,
        "isActive": True,
        "isContainer": is_group,
        "members": [],
        "memberOf": [],
        "memberIds": [],
        "properties": {
            "SchemaClassName": {"$type": "System.String", "$value": "Group" if is_group else "User"},
            "Account": {"$type": "System.String", "$value": account},
        },
        "resourceVersion": 2,
        "metaTypeId": 255 if is_group else 0,
    }


def _domain(call: Call) -> str:
    return call.organisation.account_id


_ONE, _BETWEEN = "graph/memberships/{descriptor}", "graph/memberships/{descriptor}/{container}"
OPERATIONS = tuple(
    Operation(
        name,
        method,
        path,
        handler,
        scope="organisation",
        preview=preview,
        content=NO_BODY if method == "PUT" else JSON,
    )
    for name, method, path, handler, preview in (
        ("graph.users", "GET", "graph/users", users, True),
        ("graph.user", "GET", "graph/users/{descriptor}", user, True),
        ("graph.service_principals", "GET", "graph/serviceprincipals", service_principals, True),
        ("graph.groups", "GET", "graph/groups", groups, True),
        ("graph.create_group", "POST", "graph/groups", create_group, True),
        ("graph.group", "GET", "graph/groups/{descriptor}", group, True),
        ("graph.delete_group", "DELETE", "graph/groups/{descriptor}", delete_group, True),
        ("graph.memberships", "GET", _ONE, memberships, True),
        ("graph.membership", "GET", _BETWEEN, membership, True),
        ("graph.add_member", "PUT", _BETWEEN, add_member, True),
        ("graph.remove_member", "DELETE", _BETWEEN, remove_member, True),
        ("graph.membership_state", "GET", "graph/membershipstates/{descriptor}", membership_state, True),
        ("graph.descriptor", "GET", "graph/descriptors/{key}", descriptor, False),
        ("graph.storage_key", "GET", "graph/storagekeys/{descriptor}", storage_key, False),
        ("identities.read", "GET", "identities", identities, False),
    )
)
