"""The areas that concern code and its proof."""

from pointsman.sandbox.azure_devops import (
    approval_operations,
    build_operations,
    git_operations,
    lifecycle_operations,
    plan_operations,
    policy_operations,
    pull_request_operations,
    result_operations,
)

CODE_AREAS = (
    git_operations,
    pull_request_operations,
    approval_operations,  # before builds: its word is no number of a pipeline
    build_operations,
    plan_operations,
    result_operations,
    policy_operations,
    lifecycle_operations,
)
