"""The organisations of the settings: where each is, as whom we come to it, and what its server knows.

Each setting holds one value for all organisations, or entries `ORGANISATION:VALUE`; an organisation's own entry comes
first. Settings that contradict each other are refused when they are loaded. What is merely missing is told by whoever
needs it: the web process, for one, is told no credentials.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import SecretStr

from pointsman.domain.organisations import is_loopback, is_service, organisation_of

ValueT = TypeVar("ValueT", str, SecretStr)


class Auth(StrEnum):
    """How we prove to an organisation who we are."""

    TOKEN = "token"  # noqa: S105 - the name of a kind
    DEFAULT = "default"
    """Whatever of Entra is there: environment, workload identity, managed identity, the developer's command line."""
    MANAGED_IDENTITY = "managed_identity"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind  # pragma: allowlist secret
    WORKLOAD_IDENTITY = "workload_identity"


@dataclass(frozen=True)
class Organisation:
    """One organisation, or collection of a server. What is not set is empty or None."""

    name: str
    """Lower-case slug, as items and deliveries carry it."""
    url: str
    auth: Auth
    token: SecretStr | None
    tenant_id: str
    client_id: str
    client_secret: SecretStr | None
    server: str
    """Release of Azure DevOps Server; empty: the service, or a server that knows the newest API."""

    def missing(self) -> tuple[str, ...]:
        """Settings that its kind of credential needs, and that are not set."""
        given = {
            "azure_devops_token": self.token is not None,
            "azure_devops_tenant_id": bool(self.tenant_id),
            "azure_devops_client_id": bool(self.client_id),
            "azure_devops_client_secret": self.client_secret is not None,
        }
        return tuple(name for name in _NEEDS[self.auth] if not given[name])


_FREE = "azure_devops_client_secret"  # may have a colon in it, as no personal access token has
_ENTRA = ("azure_devops_tenant_id", "azure_devops_client_id", "azure_devops_client_secret")
_NEEDS: Mapping[Auth, tuple[str, ...]] = {
    Auth.TOKEN: ("azure_devops_token",),
    Auth.DEFAULT: (),
    Auth.MANAGED_IDENTITY: (),
    Auth.CLIENT_SECRET: _ENTRA,
    Auth.WORKLOAD_IDENTITY: (),
}
_TAKES: Mapping[Auth, tuple[str, ...]] = {
    **_NEEDS,
    Auth.DEFAULT: ("azure_devops_client_id",),
    Auth.MANAGED_IDENTITY: ("azure_devops_client_id",),
    Auth.WORKLOAD_IDENTITY: ("azure_devops_tenant_id", "azure_devops_client_id"),
}


@dataclass
class _Said(Generic[ValueT]):
    """What one setting says: for all organisations, and for single ones. `uses` are those that took the former."""

    variable: str
    common: ValueT | None = None
    own: dict[str, ValueT] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)

    def of(self, name: str) -> ValueT | None:
        if name in self.own:
            return self.own[name]
        self.uses.add(name)
        return self.common


def organisations(
    urls: Sequence[str],
    plain: Mapping[str, Sequence[str]],
    secret: Mapping[str, Sequence[SecretStr]],
    variables: Mapping[str, str],
) -> tuple[Organisation, ...]:
    """Put together what the settings say: their entries by name, and the variable of each.

    Raises:
        ValueError: they contradict each other; one contradiction a line, without the value of a secret.
    """
    faults: list[str] = []
    named: dict[str, str] = {}
    for url in urls:
        name = organisation_of(url)
        if name in named:
            faults.append(f"{variables['azure_devops_url']}: {named[name]!r} and {url!r} both name {name!r}; leave one")
        named[name] = url
    if not named:
        return ()
    said = {key: _read(variables[key], _texts(entries), named, faults) for key, entries in plain.items()}
    hidden = {
        key: _read(variables[key], _secrets(entries, named if key == _FREE else ()), named, faults)
        for key, entries in secret.items()
    }
    found = tuple(_organisation(name, url, said, hidden, faults) for name, url in named.items())
    credentials: dict[str, _Said[str] | _Said[SecretStr]] = {**said, **hidden}
    faults += _misplaced(found, credentials, variables)
    if faults:
        raise ValueError("\n".join(faults))
    return found


def _texts(entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        name, colon, value = entry.partition(":")
        yield (name.lower(), value) if colon else ("", entry)


def _secrets(entries: Sequence[SecretStr], known: Collection[str]) -> Iterator[tuple[str, SecretStr]]:
    """Where `known` is told, a colon behind any other name is the secret's own."""
    for entry in entries:
        name, colon, value = entry.get_secret_value().partition(":")
        is_named = colon and (not known or name.lower() in known)
        yield (name.lower(), SecretStr(value)) if is_named else ("", entry)


def _read(
    variable: str, entries: Iterator[tuple[str, ValueT]], named: Mapping[str, str], faults: list[str]
) -> _Said[ValueT]:
    said: _Said[ValueT] = _Said(variable)
    for name, value in entries:
        if name and name not in named:
            faults.append(f"{variable}: no organisation {name!r} is configured; known: {', '.join(named)}")
        elif name in said.own or (not name and said.common is not None):
            faults.append(f"{variable}: two values for {name or 'all organisations'}; leave one")
        elif name:
            said.own[name] = value
        else:
            said.common = value
    return said


def _organisation(
    name: str, url: str, said: Mapping[str, _Said[str]], hidden: Mapping[str, _Said[SecretStr]], faults: list[str]
) -> Organisation:
    auth, server = Auth(said["azure_devops_auth"].of(name) or Auth.TOKEN), said["azure_devops_server"]
    release = server.own.get(name, "") if is_service(url) else server.of(name) or ""
    if release and is_service(url):
        faults.append(f"{server.variable}: {name!r} is of the service at {url}, which has no release; take it out")
    if auth is not Auth.TOKEN and not is_service(url) and (release or not is_loopback(url)):
        faults.append(
            f"{said['azure_devops_auth'].variable}: {auth.value!r} for {name!r} at {url}: Azure DevOps Server knows no "
            f"accounts of Entra; allowed: {name}:token"
        )
    taken = {key: (said.get(key) or hidden[key]).of(name) for key in _TAKES[auth]}
    token, secret = taken.get("azure_devops_token"), taken.get("azure_devops_client_secret")
    return Organisation(
        name=name,
        url=url,
        auth=auth,
        token=token if isinstance(token, SecretStr) else None,
        tenant_id=str(taken.get("azure_devops_tenant_id") or ""),
        client_id=str(taken.get("azure_devops_client_id") or ""),
        client_secret=secret if isinstance(secret, SecretStr) else None,
        server=release,
    )


def _misplaced(
    found: Sequence[Organisation],
    said: Mapping[str, _Said[str] | _Said[SecretStr]],
    variables: Mapping[str, str],
) -> Iterator[str]:
    """Values that nobody takes: most likely the kind of credential is not the one that was meant."""
    auth, kinds = variables["azure_devops_auth"], {one.name: one.auth for one in found}
    for key, setting in said.items():
        if key == "azure_devops_auth":
            continue
        if setting.common is not None and not setting.uses:
            told = ", ".join(sorted({kind.value for kind in kinds.values()}))
            reason = f"{auth} is {told}" if key != "azure_devops_server" else "all are of the service"
            yield f"{setting.variable} is set, and no organisation uses it: {reason}; {_mended(key, auth)}"
        for name in setting.own.keys() & kinds.keys():
            if key != "azure_devops_server" and key not in _TAKES[kinds[name]]:
                reason = f"{auth} is {kinds[name].value} for it"
                yield f"{setting.variable}: {name!r} has a value that is not used: {reason}; {_mended(key, auth)}"


def _mended(key: str, auth: str) -> str:
    kinds = [kind.value for kind in Auth if key in _TAKES[kind]]
    return f"unset it, or set {auth} to {' or '.join(kinds)}" if kinds else "unset it"
