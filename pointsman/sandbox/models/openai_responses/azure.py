"""Azure OpenAI's v1 API: the Responses API under a resource of one's own, `POST /azure/openai/v1/responses`.

A key comes in the header `api-key`; a token of Microsoft Entra ID comes as bearer. Tokens are those of `api_keys` too.
"""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import FastAPI

from pointsman.sandbox.models.formats import ApiFault
from pointsman.sandbox.models.openai_responses.catalogue import add_catalogue
from pointsman.sandbox.models.openai_responses.checks import check_key
from pointsman.sandbox.models.openai_responses.format import OpenAIResponsesFormat

PREFIX = "/azure/openai"
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)


class AzureResponsesFormat(OpenAIResponsesFormat):
    name = "azure-openai-responses"
    paths: ClassVar = (f"{PREFIX}/v1/responses",)

    def authorise(self, headers: Mapping[str, str]) -> None:
        key = headers.get("api-key")
        try:
            check_key(f"Bearer {key}" if key else headers.get("authorization", ""), self.config)
        except ApiFault:
            raise ApiFault(401, _DENIED, {"error": {"code": "401", "message": _DENIED}}) from None

    def add_routes(self, app: FastAPI) -> None:
        add_catalogue(app, self.config, PREFIX, self.authorise)

    def headers(self) -> Mapping[str, str]:
        return {"x-ms-region": "Sweden Central"}
