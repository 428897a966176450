"""How the service refuses: status, envelope, `typeKey`, TF or VS number."""

from collections.abc import Sequence

from pointsman.contracts.base import Json

TRACKING = "Microsoft.TeamFoundation.WorkItemTracking.Server"
FRAMEWORK = "Microsoft.VisualStudio.Services.Common"


class ServiceError(Exception):
    """A refusal, with the envelope that goes out. `eventId` and `errorCode` are the usual ones, not confirmed."""

    def __init__(
        self,
        status: int,
        message: str,
        type_key: str,
        *,
        namespace: str = TRACKING,
        error_code: int = 0,
        properties: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Json] = {
            "$id": "1",
            "innerException": None,
            "message": message,
            "typeName": f"{namespace}.{type_key}, {namespace}",
            "typeKey": type_key,
            "errorCode": error_code,
            "eventId": 3000,
        }
        if properties:
            self.body["customProperties"] = properties


def revision_conflict(path: str, current: Json, given: Json) -> ServiceError:
    return ServiceError(
        412,
        f"VS403351: Test Operation for path {path} failed, value {current} was not equal to test value {given}.",
        "TestPatchOperationFailedException",
        namespace="Microsoft.VisualStudio.Services.WebApi.Patch",
    )


def rule_broken(field: str, name: str, flags: Sequence[str]) -> ServiceError:
    return rules_broken([(field, name, flags)])


def rules_broken(broken: Sequence[tuple[str, str, Sequence[str]]]) -> ServiceError:
    """All rules that a document breaks: reference name, name and flags of each field. The message is of the first."""
    told: list[Json] = []
    for field, name, flags in broken:
        codes = ", ".join(flags)
        message = f"TF401320: Rule Error for field {name}. Error code: {codes}."
        told.append({"fieldReferenceName": field, "fieldStatusFlags": codes, "errorMessage": message})
    first = told[0]
    assert isinstance(first, dict)
    return ServiceError(
        400,
        str(first["errorMessage"]),
        "RuleValidationException",
        error_code=600171,
        properties={"RuleValidationErrors": told},
    )


def invalid_field(field: str, status: str) -> ServiceError:
    message = f"TF401326: Invalid field status '{status}' for field '{field}'."
    return ServiceError(400, message, "RuleValidationException", error_code=600177)


def unknown_field(field: str) -> ServiceError:
    return ServiceError(400, f"TF51535: Cannot find field {field}.", "WorkItemTrackingFieldDefinitionNotFoundException")


def no_item(item_id: int) -> ServiceError:
    return ServiceError(
        404,
        f"TF401232: Work item {item_id} does not exist, or you do not have permissions to read it.",
        "WorkItemUnauthorizedAccessException",
    )


def no_project(name: str) -> ServiceError:
    return ServiceError(
        404,
        f"TF200016: The following project does not exist: {name}. Verify that the name of the project is correct "
        "and that the project exists on the specified Azure DevOps Server.",
        "ProjectDoesNotExistWithNameException",
        namespace="Microsoft.TeamFoundation.Core.WebApi",
    )


def invalid(message: str, type_key: str = "VssPropertyValidationException", status: int = 400) -> ServiceError:
    """A request that does not make sense in itself, as the framework refuses it."""
    return ServiceError(status, message, type_key, namespace=FRAMEWORK)


def over_batch_limit(count: int) -> ServiceError:
    return ServiceError(
        400,
        f"VS403474: You requested {count} work items which exceeds the limit of 200",
        "WorkItemsBatchSizeLimitExceededException",
    )


def changed_by_others() -> ServiceError:
    """A race of two writers without a test of the revision. The status and the type key are not confirmed."""
    return ServiceError(
        409,
        "TF26071: This work item has been changed by someone else since you opened it.  You will need to refresh it "
        "and discard your changes.",
        "WorkItemRevisionMismatchException",
        error_code=600122,
    )


def over_limit(what: str, limit: int) -> ServiceError:
    """A limit of one item. The number and the type key are not confirmed; that the write is refused is."""
    message = f"TF401359: The work item has reached its limit of {limit} {what}."
    return ServiceError(400, message, "WorkItemLimitExceededException", error_code=600359)


def forbidden(what: str) -> ServiceError:
    """The service's own words are not confirmed."""
    message = f"TF401027: You need the permission to {what} to perform this action."
    return ServiceError(403, message, "AccessDeniedException", namespace=FRAMEWORK)
