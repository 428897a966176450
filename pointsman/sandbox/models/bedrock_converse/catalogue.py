"""Models of Bedrock: Claude, by the ids of the models and of the profiles that lead to them (November 2026)."""

import re
from collections.abc import Mapping

from pointsman.sandbox.models.documents import Object

REGION, ACCOUNT = "us-east-1", "123456789012"
# Bedrock's ids, and the names that the models go by elsewhere.
MODELS: Mapping[str, str] = {
    "anthropic.claude-haiku-5-5": "claude-haiku-5-5",
    "anthropic.claude-sonnet-5-5": "claude-sonnet-5-5",
    "anthropic.claude-opus-5-5": "claude-opus-5-5",
    "anthropic.claude-opus-4-6-v1:0": "claude-opus-4-6",
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
    "anthropic.claude-haiku-4-5-20251001-v1:0": "claude-haiku-4-5",
}
ENDS: Mapping[str, str] = {"anthropic.claude-sonnet-4-5-20250929-v1:0": "2026-11-30T00:00:00Z"}
AREAS = ("global", "us")
_AREA = re.compile(rf"(?:{'|'.join(AREAS)})\.")


def profiles() -> list[str]:
    return [f"{area}.{model}" for area in AREAS for model in MODELS]


def base_id(model: str) -> str:
    """The id of the model that an id, a profile or an ARN leads to."""
    return _AREA.sub("", model.rpartition("/")[2], count=1)


def model_name(model: str) -> str:
    """What the model is called elsewhere; what is unknown stays what it is."""
    return MODELS.get(base_id(model), model)


def model_arn(model: str) -> str:
    return f"arn:aws:bedrock:{REGION}::foundation-model/{model}"


def listed_model(model: str) -> Object:
    lifecycle: Object = {"status": "LEGACY" if model in ENDS else "ACTIVE"}
    if model in ENDS:
        lifecycle["endOfLifeTime"] = ENDS[model]
    return {
        "modelArn": model_arn(model),
        "modelId": model,
        "modelName": MODELS[model].replace("-", " ").title(),
        "providerName": "Anthropic",
        "inputModalities": ["TEXT", "IMAGE"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": [],
        "modelLifecycle": lifecycle,
    }


def listed_profile(profile: str) -> Object:
    return {
        "inferenceProfileName": profile,
        "inferenceProfileArn": f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{profile}",
        "inferenceProfileId": profile,
        "models": [{"modelArn": model_arn(base_id(profile))}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }
