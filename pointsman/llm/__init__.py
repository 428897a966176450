"""Models of any provider through one governed client. Imports neither Temporal nor a database.

    from pointsman.llm import LLMRequest, llm_service

Names are found when they are first wanted (PEP 562), so that whoever needs the types alone does not load the service.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from pointsman.llm.imports import collector_paused

if TYPE_CHECKING:
    from pointsman.llm.errors import LLMError, ProviderError
    from pointsman.llm.service import LLMService
    from pointsman.llm.setup import llm_service
    from pointsman.llm.types import LLMRequest, LLMResponse, ModelTier, Provider, Role, text_message

__all__ = [
    "LLMError",
    "LLMRequest",
    "LLMResponse",
    "LLMService",
    "ModelTier",
    "Provider",
    "ProviderError",
    "Role",
    "llm_service",
    "text_message",
]

_MODULES = ("types", "errors", "service", "setup")


def __getattr__(name: str) -> object:
    if name in __all__:
        with collector_paused():
            for module in _MODULES:
                found = getattr(import_module(f"{__name__}.{module}"), name, None)
                if found is not None:
                    return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
