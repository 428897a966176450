"""Names of people as Azure DevOps writes them: identities in two shapes."""

import re
from urllib.parse import quote

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


def segment(name: str) -> str:
    """A name as one segment of a path, whatever signs are in it."""
    return quote(name, safe="")
