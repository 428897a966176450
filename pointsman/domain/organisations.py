"""Which organisation a URL of Azure DevOps belongs to. Settings and deliveries are read by this one rule: an item is
the same item only where both give one name."""

from urllib.parse import unquote, urlsplit

SERVICES = "dev.azure.com"
OLD = ".visualstudio.com"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SERVER_VERSIONS = {"2019": "5.0", "2020": "6.0", "2022": "7.0", "2022.1": "7.1"}
"""Newest version of the API by release of Azure DevOps Server."""


def is_service(url: str) -> bool:
    """Whether an organisation is Microsoft's to run, under either of its names."""
    host = (urlsplit(url).hostname or "").lower()
    return host == SERVICES or host.endswith((f".{SERVICES}", OLD))


def is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "").lower() in LOOPBACK


def organisation_of(url: str) -> str:
    """Lower-case slug of the organisation (or, on a server of one's own, of the collection) that a URL belongs to.

    Raises:
        ValueError: the URL names none.
    """
    slug = _slug(url).lower()
    if not slug or slug.startswith("_") or not slug.isprintable():
        raise ValueError(
            f"no organisation in {url!r}: expected https://dev.azure.com/ORGANISATION or a collection's URL"
        )
    return slug


def _slug(url: str) -> str:
    """As the URL spells it; empty, or one of the service's own words, where it names none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if host.endswith(".visualstudio.com"):
        return host.partition(".")[0]
    if host == "dev.azure.com" or host.endswith(".dev.azure.com"):
        return segments[0] if segments else ""
    return _collection(segments)


def _collection(segments: list[str]) -> str:
    """The collection in the path of a server's URL, behind the virtual directory if there is one."""
    route = next((index for index, segment in enumerate(segments) if segment.startswith("_")), len(segments))
    before = segments[:route]
    if not before:
        return ""
    if route == len(segments):  # a bare collection URL ends in the collection, whatever stands before it
        return before[-1]
    return before[1] if before[0].lower() == "tfs" and len(before) > 1 else before[0]
