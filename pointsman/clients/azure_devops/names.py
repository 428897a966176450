"""Names as Azure DevOps writes them: identities in two shapes, organisations in several kinds of URL."""

import re
from urllib.parse import unquote, urlsplit

from pointsman.contracts.base import Json

_NAMED_ADDRESS = re.compile(r"^.*<([^<>]+)>\s*$")


def unique_name(identity: Json) -> str:
    """Unique name of an identity: an object, or the string `Display Name <unique name>`. Empty for nobody."""
    if isinstance(identity, dict):
        for key in ("uniqueName", "mailAddress", "displayName", "name"):
            value = identity.get(key)
            if isinstance(value, str) and value:
                return unique_name(value)
    if isinstance(identity, str):
        named = _NAMED_ADDRESS.match(identity)
        return named.group(1) if named else identity.strip()
    return ""


def organisation_of(url: str) -> str:
    """Lower-case slug of the organisation (or, on a server of one's own, of the collection) that a URL belongs to.

    Raises:
        ValueError: the URL names none.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if host.endswith(".visualstudio.com"):
        slug = host.split(".")[0]
    elif host == "dev.azure.com" or host.endswith(".dev.azure.com"):
        slug = segments[0] if segments else ""
    else:
        slug = _collection(segments)
    if not host or not slug or slug.startswith("_"):
        raise ValueError(
            f"no organisation in {url!r}: expected https://dev.azure.com/ORGANISATION or a collection's URL"
        )
    return slug.lower()


def _collection(segments: list[str]) -> str:
    """The collection in the path of a server's URL, behind the virtual directory if there is one."""
    route = next((index for index, segment in enumerate(segments) if segment.startswith("_")), len(segments))
    before = segments[:route]
    if not before:
        return ""
    if route == len(segments):  # a bare collection URL ends in the collection, whatever stands before it
        return before[-1]
    return before[1] if before[0].lower() == "tfs" and len(before) > 1 else before[0]
