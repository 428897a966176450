"""The areas that concern code and its proof."""

from pointsman.sandbox.azure_devops import (
    approval_operations,
    build_operations,
    git_operations,
    pull_request_operations,
)

# Approvals stand below pipelines in the path, so they are looked at first: their word is no number of a pipeline.
CODE_AREAS = (git_operations, pull_request_operations, approval_operations, build_operations)
