"""Settings on the command line."""

import os
from collections.abc import Iterator

from pydantic import SecretStr

from pointsman.config import MASK, Explained, Settings, unknown_variables
from pointsman.llm.settings import LLMSettings, descriptions, load_settings
from starter.cli.call import Call
from starter.cli.errors import not_found
from starter.cli.output import Listing, Record
from starter.needs import llm_settings


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
    every = [*settings.explain(), *_of_models(settings)]
    chosen = [one for one in every if not name or one.name.casefold().removeprefix("pointsman_") == wanted]
    if not chosen:
        raise not_found(f"There is no setting {name!r}.", "pointsman config show")
    return chosen


def _of_models(settings: Settings) -> Iterator[Explained]:
    """Settings of the model service as they are in force, which go by the names of their variables."""
    llm, in_force, described = load_settings(), llm_settings(settings), descriptions()
    for name in LLMSettings.model_fields:
        value: object = getattr(in_force, name)
        secret, variable = isinstance(value, SecretStr), name.upper()
        told = ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        given = "file .env" if name in llm.model_fields_set else "default"
        origin = f"environment {variable}" if os.environ.get(variable) else given
        if name in settings.origins:  # our own setting of that name comes before it
            origin = settings.origins[name]
        if name == "aws_region" and not told and not in_force.aws_default_region and in_force.bedrock_region:
            told, origin = in_force.bedrock_region, "profile of AWS_PROFILE"
        yield Explained(variable, variable, MASK if secret else told, origin, described.get(name, ""), secret)
