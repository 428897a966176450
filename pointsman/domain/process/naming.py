"""Fields, links and policies under the names that people see in Azure DevOps, not under those that programs use."""

import re
from collections.abc import Iterable

from pointsman.domain.words import joined

FIELDS = {"System.AreaPath": "Area", "System.IterationPath": "Iteration", "System.WorkItemType": "Type"}
"""Those whose name in the form is not the end of their reference name."""
RELATIONS = {
    "System.LinkTypes.Hierarchy-Reverse": "Parent",
    "System.LinkTypes.Hierarchy-Forward": "Child",
    "System.LinkTypes.Related": "Related",
    "System.LinkTypes.Dependency-Forward": "Successor",
    "System.LinkTypes.Dependency-Reverse": "Predecessor",
    "Microsoft.VSTS.Common.TestedBy-Forward": "Tested By",
    "Microsoft.VSTS.Common.TestedBy-Reverse": "Tests",
    "Microsoft.VSTS.Common.Affects-Forward": "Affects",
    "Microsoft.VSTS.Common.Affects-Reverse": "Affected By",
}
POLICIES = {
    "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd": "Minimum number of reviewers",
    "fd2167ab-b0be-447a-8ec8-39368250530e": "Automatically included reviewers",
    "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e": "Check for linked work items",
    "c6a1889d-b943-4856-b76f-9e46bb6b0df2": "Check for comment resolution",
    "0609b952-1397-4640-95ec-e00a01b2c241": "Build validation",
    "cbdc66da-9728-4af8-aada-9a5a32e4a226": "Status checks",
}
"""Types of branch policies; the ids are the same everywhere."""
WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def field(name: str) -> str:
    """`Microsoft.VSTS.Common.AcceptanceCriteria` is `Acceptance Criteria`."""
    return FIELDS.get(name) or WORDS.sub(" ", name.rpartition(".")[2])


def fields(names: Iterable[str], last: str = "and") -> str:
    return joined(map(field, names), last)


def relation(name: str) -> str:
    return RELATIONS.get(name) or name.rpartition(".")[2]


def relations(names: Iterable[str]) -> str:
    return joined(map(relation, names), "or")


def policies(names: Iterable[str]) -> str:
    return joined(POLICIES.get(name, name) for name in names)
