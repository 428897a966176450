"""The region of the AWS profile that the environment names, read without AWS's SDK, which is slow to load."""

import os
from configparser import ConfigParser, Error
from pathlib import Path


def region_of_profile() -> str | None:
    """Of the profile of AWS_PROFILE, in the file that AWS_CONFIG_FILE or custom names; None where there is none.

    Only a profile that is named counts: a file that is there for other programs switches nothing on.
    """
    name = os.environ.get("AWS_PROFILE", "")
    if not name:
        return None
    read = ConfigParser(interpolation=None, strict=False)
    try:
        read.read(Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser(), encoding="utf-8")
    except (Error, OSError, UnicodeDecodeError, RuntimeError):
        return None  # whoever signs the requests says what is wrong with the file
    return next((read[one]["region"] for one in _sections(name) if read.has_option(one, "region")), None) or None


def _sections(name: str) -> tuple[str, ...]:
    return (f"profile {name}", name) if name == "default" else (f"profile {name}",)
