"""Operations on test plans, suites, their test cases and points."""

from collections.abc import Sequence

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.bodies import inner, needed, number, object_in, objects_in, text
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, no_item
from pointsman.sandbox.azure_devops.listing import by_token, in_one
from pointsman.sandbox.azure_devops.proof_state import Plan, Point, Suite
from pointsman.sandbox.azure_devops.rendering import identity_json
from pointsman.sandbox.azure_devops.state import Item

TESTS = "Microsoft.TeamFoundation.TestManagement.WebApi"
TEST_CASE = "Test Case"
CONFIGURATION: dict[str, Json] = {"id": 1, "name": "Windows 10"}


def plans(call: Call) -> Reply:
    active = call.flag("filterActivePlans")
    held = call.world.code.proofs.plans_of(call.organisation).values()
    found = [one for one in held if one.project == call.project and not (active and one.state != "Active")]
    return by_token(call, found, lambda one: _plan_json(call, one))


def plan(call: Call) -> Reply:
    return Reply(_plan_json(call, plan_of(call)))


def create_plan(call: Call) -> Reply:
    body, proofs = object_in(call.body), call.world.code.proofs
    made = Plan(
        proofs.next_number(),
        call.organisation,
        call.project,
        needed(body, "name"),
        text(body, "areaPath", call.project),
        text(body, "iteration", call.project),
        call.identity,
        call.world.clock.now(),
    )
    root = Suite(proofs.next_number(), made.id, made.name, at=made.at)
    made.suites[root.id] = root
    proofs.plans_of(call.organisation)[made.id] = made
    return Reply(_plan_json(call, made))


def suites(call: Call) -> Reply:
    found = plan_of(call)
    return by_token(call, list(found.suites.values()), lambda one: _suite_json(call, found, one))


def create_suite(call: Call) -> Reply:
    found, body = plan_of(call), object_in(call.body)
    parent = number(inner(body, "parentSuite"), "id")
    if parent not in found.suites:
        raise _missing("suite", parent)
    requirement = number(body, "requirementId")
    if requirement:
        _item(call, requirement)
    made = Suite(
        call.world.code.proofs.next_number(),
        found.id,
        needed(body, "name"),
        parent,
        requirement,
        call.world.clock.now(),
    )
    found.suites[made.id] = made
    return Reply(_suite_json(call, found, made))


def suites_of(call: Call) -> Reply:
    wanted = call.count("testCaseId", 0)
    held = call.world.code.proofs.plans_of(call.organisation).values()
    found = [
        (one, suite)
        for one in held
        for suite in one.suites.values()
        if any(point.test_case == wanted for point in suite.points)
    ]
    return in_one(found, lambda pair: _suite_json(call, *pair))


def test_cases(call: Call) -> Reply:
    found, below = _below(call, call.flag("isRecursive"))
    listed = [
        (suite, place)
        for suite in below
        for place, point in enumerate(suite.points)
        if _is_there(call, point.test_case)
    ]
    return by_token(call, listed, lambda pair: _case_json(call, found, *pair))


def add_test_cases(call: Call) -> Reply:
    found, (suite,) = _below(call, recursive=False)
    first = len(suite.points)
    for body in objects_in(call.body):
        wanted = number(inner(body, "workItem"), "id")
        if _item(call, wanted).kind.name != TEST_CASE:
            raise invalid(f"The work item {wanted} is no test case.", "TestObjectNotFoundException")
        if any(point.test_case == wanted for point in suite.points):
            raise invalid(
                f"The test case {wanted} is in the suite {suite.id} already.", "DuplicateTestCaseInSuiteException"
            )
        suite.points.append(Point(call.world.code.proofs.next_number(), wanted, suite.id))
    return in_one(range(first, len(suite.points)), lambda place: _case_json(call, found, suite, place))


def points(call: Call) -> Reply:
    found, below = _below(call, call.flag("isRecursive"))
    wanted = call.count("testCaseId", 0)
    listed = [
        (suite, point)
        for suite in below
        for point in suite.points
        if wanted in (0, point.test_case) and _is_there(call, point.test_case)
    ]
    return by_token(call, listed, lambda pair: _point_json(call, found, *pair))


def plan_of(call: Call) -> Plan:
    wanted = call.number("plan")
    found = call.world.code.proofs.plans_of(call.organisation).get(wanted)
    if found is None or found.project != call.project:
        raise _missing("plan", wanted)
    return found


def _below(call: Call, recursive: bool) -> tuple[Plan, Sequence[Suite]]:
    found, wanted = plan_of(call), call.number("suite")
    if wanted not in found.suites:
        raise _missing("suite", wanted)
    return found, list(found.below(wanted)) if recursive else [found.suites[wanted]]


def _item(call: Call, item_id: int) -> Item:
    found = call.world.items_of(call.organisation).get(item_id)
    if found is None or found.deleted:
        raise no_item(item_id)
    return found


def _is_there(call: Call, item_id: int) -> bool:
    found = call.world.items_of(call.organisation).get(item_id)
    return found is not None and not found.deleted


def _missing(what: str, wanted: int) -> ServiceError:
    return ServiceError(404, f"Test {what} {wanted} not found.", "TestObjectNotFoundException", namespace=TESTS)


def _project_json(call: Call, project: str) -> dict[str, Json]:
    project_id = call.links.project_id(project)
    url = f"{call.links.root}/_apis/projects/{project_id}"
    return {"id": project_id, "name": project, "url": url, "state": "unchanged", "visibility": "private"}


def _named(one: Plan | Suite) -> dict[str, Json]:
    return {"id": one.id, "name": one.name}


def _url(call: Call, found: Plan, rest: str = "") -> dict[str, Json]:
    root = f"{call.links.root}/{call.links.project_id(found.project)}/_apis/testplan/Plans/{found.id}"
    return {"_self": {"href": f"{root}{rest}"}}


def _plan_json(call: Call, one: Plan) -> dict[str, Json]:
    return {
        "id": one.id,
        "project": _project_json(call, one.project),
        "rootSuite": _named(one.root),
        "name": one.name,
        "areaPath": one.area,
        "iteration": one.iteration,
        "state": one.state,
        "owner": identity_json(one.by, call.links),
        "revision": 1,
        "updatedBy": identity_json(one.by, call.links),
        "updatedDate": one.at,
        "_links": _url(call, one),
    }


def _suite_json(call: Call, found: Plan, one: Suite) -> dict[str, Json]:
    """The one that all others are below has no parent; only a requirement's has one."""
    body: dict[str, Json] = {
        "id": one.id,
        "name": one.name,
        "revision": 1,
        "project": _project_json(call, found.project),
        "plan": _named(found),
        "suiteType": "requirementTestSuite" if one.requirement else "staticTestSuite",
        "hasChildren": any(other.parent_id == one.id for other in found.suites.values()),
        "lastUpdatedBy": identity_json(found.by, call.links),
        "lastUpdatedDate": one.at,
        "inheritDefaultConfigurations": True,
        "defaultConfigurations": [CONFIGURATION],
        "_links": _url(call, found, f"/suites/{one.id}"),
    }
    if one.parent_id:
        body["parentSuite"] = _named(found.suites[one.parent_id])
    if one.requirement:
        body["requirementId"] = one.requirement
    return body


def _case_json(call: Call, found: Plan, suite: Suite, place: int) -> dict[str, Json]:
    point = suite.points[place]
    item = _item(call, point.test_case)
    return {
        "testPlan": _named(found),
        "project": _project_json(call, found.project),
        "testSuite": _named(suite),
        "workItem": {
            "id": item.id,
            "name": str(item.fields["System.Title"]),
            "workItemFields": [{"System.Id": item.id}, {"System.State": str(item.fields["System.State"])}],
        },
        "pointAssignments": [{"id": point.id, "configurationId": 1, "configurationName": CONFIGURATION["name"]}],
        "links": _url(call, found, f"/suites/{suite.id}/TestCase/{item.id}"),
        "order": place,
    }


def _point_json(call: Call, found: Plan, suite: Suite, point: Point) -> dict[str, Json]:
    """A point that was never run has an outcome, too: `unspecified`."""
    item, last = _item(call, point.test_case), point.last
    results: dict[str, Json] = {"outcome": "unspecified", "state": "ready", "lastResultState": "unspecified"}
    if last:
        results = {
            "outcome": last.outcome[:1].lower() + last.outcome[1:],
            "state": "completed",
            "lastResultState": "completed",
            "lastTestRunId": last.run_id,
            "lastResultId": last.id,
            "lastRunBuildNumber": point.last_build_number or None,
            "lastResultDetails": {
                "duration": int(last.duration_ms),
                "dateCompleted": last.at,
                "runBy": identity_json(last.by, call.links),
            },
        }
    return {
        "id": point.id,
        "configuration": CONFIGURATION,
        "isAutomated": False,
        "isActive": last is None,
        "project": _project_json(call, found.project),
        "testPlan": _named(found),
        "testSuite": _named(suite),
        "lastUpdatedDate": last.at if last else suite.at,
        "results": results,
        "testCaseReference": {
            "id": item.id,
            "name": str(item.fields["System.Title"]),
            "state": str(item.fields["System.State"]),
        },
        "links": _url(call, found, f"/suites/{suite.id}/TestPoint"),
    }


_PLANS = "testplan/plans"
_SUITES = f"{_PLANS}/{{plan}}/suites"
_CASES = f"{_SUITES}/{{suite}}/testcase"
OPERATIONS = (
    Operation("test_plans.list", "GET", _PLANS, plans, scope="project"),
    Operation("test_plans.create", "POST", _PLANS, create_plan, scope="project"),
    Operation("test_plans.get", "GET", f"{_PLANS}/{{plan}}", plan, scope="project"),
    Operation("test_plans.suites", "GET", _SUITES, suites, scope="project"),
    Operation("test_plans.create_suite", "POST", _SUITES, create_suite, scope="project"),
    Operation("test_plans.suites_of", "GET", "testplan/suites", suites_of, scope="organisation"),
    Operation("test_plans.test_cases", "GET", _CASES, test_cases, scope="project"),
    Operation("test_plans.add_test_cases", "POST", _CASES, add_test_cases, scope="project"),
    Operation("test_plans.points", "GET", f"{_SUITES}/{{suite}}/testpoint", points, scope="project"),
)
