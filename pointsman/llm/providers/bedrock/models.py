"""What a model behind Bedrock takes of Converse, by its id.

After the model cards of Amazon Bedrock and Anthropic, November 2026. Of models that are not here nothing is asked that
not every model of Converse takes: no reasoning, no format, no cache points.
"""

import re
from typing import NamedTuple

from pointsman.llm.providers.anthropic.models import UNKNOWN, Traits, traits

_VERSION = re.compile(r"-v\d+(?::\d+)?$")
_AREA = re.compile(r"^(?:global|us|us-gov|eu|apac|jp|au|ca|sa|me|af)\.")
# Claude before 4.7 still takes a temperature.
_SAMPLED = re.compile(r"claude-(?:3|instant|v2|(?:opus|sonnet|haiku)-4)(?!-[78]\b)")
_PLAIN = Traits(frozenset(), False, (), "always", system_between=False)


class Abilities(NamedTuple):
    claude: Traits
    is_claude: bool
    has_format: bool
    """Whether it takes `outputConfig.textFormat`."""
    takes_sampling: bool
    has_cache: bool


def abilities(model: str) -> Abilities:
    name = _VERSION.sub("", model)
    if "claude" not in name:
        return Abilities(_PLAIN, False, False, True, "nova" in name)
    known = traits(name)
    return Abilities(
        claude=known,
        is_claude=True,
        has_format=known is not UNKNOWN,
        takes_sampling=_SAMPLED.search(name) is not None,
        has_cache=True,
    )


def base_model(model: str) -> str:
    """The id of the model itself, which an inference profile of an area leads to."""
    return _AREA.sub("", model)
