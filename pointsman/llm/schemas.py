"""JSON Schema checks of what models write. Validators are kept, because a tool is called more than once."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from pointsman.contracts.base import Json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

SHOWN_CHARS_MAX = 200


def violation(schema: dict[str, Json], value: Json) -> str:
    """Where the value breaks the schema, and how; empty where it does not. A schema that is none forbids nothing."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    if validator is None:
        return ""
    from referencing.exceptions import Unresolvable  # as below

    error: ValidationError | None
    try:
        error = next(iter(validator.iter_errors(value)), None)
    except (Unresolvable, RecursionError) as fault:  # a schema of somebody else may refer to what does not exist
        return f"its schema cannot be applied: {type(fault).__name__}"
    if error is None:
        return ""
    where = "/".join(str(step) for step in error.absolute_path)
    return f"{where or 'the whole'}: {error.message[:SHOWN_CHARS_MAX]}"


@lru_cache(maxsize=512)
def _validator(schema: str) -> "Validator | None":
    from jsonschema import Draft202012Validator  # a third of the time to load the service, and not every call has one
    from jsonschema.exceptions import SchemaError  # as above
    from referencing import Registry  # as above

    parsed = json.loads(schema)
    try:
        Draft202012Validator.check_schema(parsed)
    except SchemaError:
        return None
    # An empty registry: a schema may not make us fetch anything.
    return Draft202012Validator(parsed, registry=Registry())
