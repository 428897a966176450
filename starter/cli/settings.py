"""Settings of one call, and the web process as they name it."""

from urllib.request import OpenerDirector, ProxyHandler, build_opener

from pointsman.config import Settings, load
from starter.cli.call import Call


def settings_of(call: Call, **given: object) -> Settings:
    """The call's own options over the root's over environment and files."""
    return load(**{**call.given, **{name: value for name, value in given.items() if value is not None}})


def own_url(settings: Settings) -> str:
    """The web process as this machine reaches it."""
    host = "127.0.0.1" if settings.web_host in ("0.0.0.0", "::") else settings.web_host  # noqa: S104 - compared only
    return f"http://[{host}]:{settings.web_port}" if ":" in host else f"http://{host}:{settings.web_port}"


def local() -> OpenerDirector:
    """Opens URLs of this machine: without the proxies that the environment may name."""
    return build_opener(ProxyHandler({}))
