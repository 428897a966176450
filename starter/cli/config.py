"""Settings on the command line."""

from pointsman.config import Explained, Settings, unknown_variables
from starter.cli.call import Call
from starter.cli.errors import not_found
from starter.cli.output import Listing, Record


def shown(settings: Settings, name: str) -> Listing:
    rows = [{"setting": one.name, "value": one.value} for one in _chosen(settings, name)]
    return Listing("settings", ("setting", "value"), rows)


def explained(settings: Settings, name: str) -> Listing:
    rows: list[Record] = [
        {
            "setting": one.name,
            "value": one.value,
            "origin": one.origin,
            "variable": one.variable,
            "description": one.description,
            "secret": one.secret,
        }
        for one in _chosen(settings, name)
    ]
    return Listing("settings", ("setting", "value", "origin", "variable", "description"), rows)


def warn_of_misspelt(call: Call) -> None:
    for name in unknown_variables():
        call.out.say(f"warning: {name} is set, and means nothing to Pointsman: is it misspelt?")


def _chosen(settings: Settings, name: str) -> list[Explained]:
    wanted = name.casefold().removeprefix("pointsman_")
    chosen = [one for one in settings.explain() if not name or one.name == wanted]
    if not chosen:
        raise not_found(f"There is no setting {name!r}.", "pointsman config show")
    return chosen
