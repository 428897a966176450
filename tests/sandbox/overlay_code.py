"""What is wrong with Microsoft's specifications of code and its proof, beside what `overlay` knows."""

from tests.sandbox.overlay import Correction, Schema, operations, part


def _dictionaries(document: Schema) -> None:
    definitions = part(document, "definitions")
    if "ChangeCountDictionary" in definitions:
        definitions["ChangeCountDictionary"] = {"type": "object", "additionalProperties": {"type": "integer"}}


def _settings(document: Schema) -> None:
    definitions = part(document, "definitions")
    if "JObject" in definitions:
        definitions["JObject"] = {"type": "object"}


def _pipelines(document: Schema) -> None:
    configuration = part(document, "definitions", "CreatePipelineConfigurationParameters")
    repository: Schema = {
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
    }
    part(configuration, "properties").update({"path": {"type": "string"}, "repository": repository})


def _accepted(document: Schema) -> None:
    for _, _, operation in operations(document):
        answer = part(operation, "responses", "200")
        if part(answer, "schema").get("$ref") == "#/definitions/OperationReference":
            part(operation, "responses")["202"] = answer


CODE_CORRECTIONS = (
    Correction(
        "dictionaries", "counts of changes are a map from kinds to numbers, typed without any key", _dictionaries
    ),
    Correction("settings", "settings of a policy are those of its type, typed as an object with two keys", _settings),
    Correction(
        "pipelines", "a pipeline of YAML has a path and a repository, and only its type is described", _pipelines
    ),
    Correction("accepted", "what is done after the answer is answered with 202, and said to be 200", _accepted),
)
