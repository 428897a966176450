"""What a setting may hold: each kind of value, and what is said of one that is not allowed."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, SecretStr

from pointsman.config.organisations import Auth
from pointsman.domain.organisations import SERVER_VERSIONS, organisation_of
from pointsman.domain.sources import networks

# Of RFC 6750: what may stand after `Bearer`.
_AUTH = ", ".join(Auth)
_ID = re.compile(r"[A-Za-z0-9][\w.-]*")
_RPC_TOKEN = re.compile(r"(?:[^\s:/,]+(?:/[^\s:,]+)?:)?[A-Za-z0-9\-._~+/]{32,512}=*")


def entries(value: object) -> object:
    """Commas or line ends separate entries, so that a file may hold one a line."""
    if isinstance(value, str):
        return tuple(entry for part in re.split(r"[,\n]", value) if (entry := part.strip()))
    return value


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("allowed: an http:// or https:// URL with a host")
    if parts.password is not None:
        raise ValueError("allowed: a URL without a password in it")
    return value.rstrip("/")


def _organisation_url(value: str) -> str:
    url = _web_url(value)
    try:
        organisation_of(url)
    except ValueError:
        example = "for example https://dev.azure.com/fabrikam"
        raise ValueError(f"allowed: a URL that names the organisation, {example}") from None
    return url


def _auth(value: str) -> str:
    if value.rpartition(":")[2] not in set(Auth):
        raise ValueError(f"allowed: KIND or ORGANISATION:KIND, a kind of {_AUTH}")
    return value


def _entra_id(value: str) -> str:
    if not _ID.fullmatch(value.rpartition(":")[2]):
        raise ValueError("allowed: ID or ORGANISATION:ID, an id as Entra shows it")
    return value


def _server(value: str) -> str:
    if value.rpartition(":")[2] not in SERVER_VERSIONS:
        raise ValueError(f"allowed: RELEASE or COLLECTION:RELEASE, a release of {', '.join(SERVER_VERSIONS)}")
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("allowed: HOST:PORT, for example 127.0.0.1:7233")
    return value


def _hook_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not 16 <= len(text) <= 256 or any(char.isspace() for char in text):
        raise ValueError("allowed: 16 to 256 characters without blanks (the upper limit is Azure DevOps's own)")
    return value


def _network(value: str) -> str:
    try:
        networks([value])
    except ValueError:
        raise ValueError("allowed: an address or a network without host bits, for example 203.0.113.0/24") from None
    return value


def _subscription_id(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("allowed: the id of a subscription, as pointsman hooks list shows it") from None


def _rpc_token(value: SecretStr) -> SecretStr:
    if not _RPC_TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError(
            "allowed: TOKEN, TENANT:TOKEN or TENANT/USER:TOKEN, a token of 32 to 512 letters, digits and -._~+/= "
            "(for example of: openssl rand -hex 32)"
        )
    return value


DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")


def _database_url(value: SecretStr) -> SecretStr:
    scheme, _, rest = value.get_secret_value().partition("://")
    place = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    port = "" if scheme == "sqlite" else place.rpartition("]")[2].partition(":")[2]
    if scheme not in DATABASES or (port and not port.isdecimal()):
        raise ValueError("allowed: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE")
    return value


def sqlite_in(folder: Path | str) -> SecretStr:
    """URL of the database in a folder, whose name may hold what would mean something else in a URL."""
    return SecretStr(f"sqlite:///{str(folder).replace('%', '%25').replace('?', '%3F')}/pointsman.db")


def _notify_url(value: SecretStr) -> SecretStr:
    _web_url(value.get_secret_value())
    return value


def _own_path(value: Path) -> Path:
    return value.expanduser().absolute()


WebUrl = Annotated[str, AfterValidator(_web_url)]
OrganisationUrl = Annotated[str, AfterValidator(_organisation_url)]
AuthKind = Annotated[str, AfterValidator(_auth)]
EntraId = Annotated[str, AfterValidator(_entra_id)]
ServerRelease = Annotated[str, AfterValidator(_server)]
OwnPath = Annotated[Path, AfterValidator(_own_path)]
HookSecret = Annotated[SecretStr, AfterValidator(_hook_secret)]
RpcToken = Annotated[SecretStr, AfterValidator(_rpc_token)]
NetworkText = Annotated[str, AfterValidator(_network)]
SubscriptionId = Annotated[str, AfterValidator(_subscription_id)]
Address = Annotated[str, AfterValidator(_address)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
NotifyUrl = Annotated[SecretStr, AfterValidator(_notify_url)]
