"""The areas that concern code and its proof."""

from pointsman.sandbox.azure_devops import git_operations, pull_request_operations

CODE_AREAS = (git_operations, pull_request_operations)
