"""Where an organisation answers: one URL for its two names, the hosts beside the main one, versions of a server."""

import re
from enum import StrEnum
from urllib.parse import urlsplit

from pointsman.domain.organisations import LOOPBACK, OLD, SERVER_VERSIONS, SERVICES

VERSION = "7.1"
"""What we ask for where nothing needs another: the newest that is no preview."""
NEWEST = "7.2"
"""What the service knows, as previews; see `server_version` for servers of one's own."""
_VERSION = re.compile(r"(\d+)\.(\d+)(-preview(?:\.\d+)?)?")


class Host(StrEnum):
    """What stands before `dev.azure.com`. A server of one's own has one host for all that it can."""

    MAIN = ""
    GRAPH = "vssps"
    """Graph, identities and tokens."""
    RELEASE = "vsrm"
    AUDIT = "auditservice"
    SECURITY = "advsec"


def organisation_url(url: str) -> str:
    """The URL under which an organisation's calls go, whichever of its names it is given by.

    `https://fabrikam.visualstudio.com/DefaultCollection` is `https://dev.azure.com/fabrikam`, and so are the hosts
    beside it. The collection of a server stays as it is.

    Raises:
        ValueError: no https (the token travels with each request; http is for loopback), credentials in the URL, or
            no organisation.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.username or parts.password:
        raise ValueError(f"the URL of an organisation must not carry credentials (host {parts.hostname!r})")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValueError(f"{url!r}: expected https, because the token travels with each request (http: loopback)")
    if host.endswith(OLD):
        return f"https://{SERVICES}/{host.partition('.')[0]}"
    segments = [segment for segment in parts.path.split("/") if segment]
    if not segments:
        raise ValueError(f"{url!r} names no organisation: expected https://dev.azure.com/ORGANISATION")
    if host == SERVICES or host.endswith(f".{SERVICES}"):
        return f"https://{SERVICES}/{segments[0]}"
    return url.rstrip("/")


def beside(base_url: str, host: Host) -> str:
    """Root of an organisation's calls at one of the hosts; on a server the collection's own URL."""
    services = f"https://{SERVICES}/"
    if host is Host.MAIN or not base_url.startswith(services):
        return base_url
    return f"https://{host}.{SERVICES}/{base_url.removeprefix(services)}"


def version_for(wanted: str, newest: str) -> str:
    """The version to ask for where a server knows none above `newest`; a preview stays one, of any number."""
    version, limit = _VERSION.fullmatch(wanted), _VERSION.fullmatch(newest)
    assert version, f"{wanted!r} is no version"
    assert limit, f"{newest!r} is no version"
    if (int(version[1]), int(version[2])) <= (int(limit[1]), int(limit[2])):
        return wanted
    return f"{limit[1]}.{limit[2]}" + ("-preview" if version[3] else "")


def server_version(release: str) -> str:
    """Newest version of the API that a release of Azure DevOps Server knows.

    Raises:
        ValueError: no release that we know.
    """
    if release not in SERVER_VERSIONS:
        raise ValueError(f"Azure DevOps Server {release!r}; known: {', '.join(SERVER_VERSIONS)}")
    return SERVER_VERSIONS[release]
