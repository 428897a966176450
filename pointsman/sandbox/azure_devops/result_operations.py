"""Operations on test runs and their results."""

from datetime import datetime, timedelta

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.bodies import inner, needed, number, object_in, objects_in, text, within
from pointsman.sandbox.azure_devops.build_state import Build
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.listing import by_skip, by_token, in_one
from pointsman.sandbox.azure_devops.plan_operations import TESTS
from pointsman.sandbox.azure_devops.proof_state import Point, Result, Run
from pointsman.sandbox.azure_devops.rendering import identity_json

WINDOW = timedelta(days=7)
RESULTS_MAX = 1_000
_LEAST, _MOST = "minLastUpdatedDate", "maxLastUpdatedDate"


def runs(call: Call) -> Reply:
    """With a time, those that changed in it, behind a token; without one all, by number."""
    if _LEAST in call.query or _MOST in call.query:
        return _runs_between(call)
    build, plan = call.query.get("buildUri", "").rsplit("/", 1)[-1], call.count("planId", 0)
    found = [one for one in _runs(call) if build in ("", str(one.build_id)) and plan in (0, one.plan_id)]
    return by_skip(call, found, lambda one: _run_json(call, one))


def run(call: Call) -> Reply:
    return Reply(_run_json(call, _run(call)))


def create(call: Call) -> Reply:
    body = object_in(call.body)
    held, now = call.world.code.proofs.runs_of(call.organisation), call.world.clock.now()
    made = Run(max(held, default=0) + 1, call.organisation, call.project, needed(body, "name"), call.identity, now)
    made.build_id, made.plan_id = number(inner(body, "build"), "id"), number(inner(body, "plan"), "id")
    made.is_automated = body.get("automated") is True
    if made.build_id and made.build_id not in call.world.code.builds.builds_of(call.organisation):
        raise invalid(f"Build {made.build_id} not found.", "TestObjectNotFoundException")
    held[made.id] = made
    return Reply(_run_json(call, made))


def update(call: Call) -> Reply:
    found = _run(call)
    found.state = text(object_in(call.body), "state", found.state)
    if found.state == "Completed":
        found.completed_at = found.completed_at or call.world.clock.now()
    return Reply(_run_json(call, found))


def results(call: Call) -> Reply:
    found = _run(call)
    return by_skip(call, found.results, lambda one: _result_json(call, found, one))


def add(call: Call) -> Reply:
    found, first = _run(call), 0
    bodies = objects_in(call.body)
    if len(bodies) > RESULTS_MAX:
        raise invalid(f"At most {RESULTS_MAX} results can be added at once.", "InvalidPropertyException")
    first = len(found.results)
    for body in bodies:
        found.results.append(_result(call, found, body))
    return in_one(found.results[first:], lambda one: _result_json(call, found, one))


def history(call: Call) -> Reply:
    """Of one test case, by branch. Each page is a branch; the token says which is next."""
    body = object_in(call.body)
    wanted, days = number(body, "testCaseId"), number(body, "trendDays", 7)
    since = _moment(call.world.clock.now()) - timedelta(days=days)
    branches: dict[str, list[tuple[Run, Result]]] = {}
    for held in _runs(call):
        for result in held.results:
            if result.test_case == wanted and _moment(result.at) >= since:
                branches.setdefault(_branch(call, held), []).append((held, result))
    names, place = sorted(branches), number(body, "continuationToken")
    groups: list[Json] = []
    for name in names[place : place + 1]:
        newest = sorted(branches[name], key=lambda pair: pair[1].at, reverse=True)
        shown: list[Json] = [_result_json(call, *pair) for pair in newest]
        groups.append({"groupByValue": name, "displayName": name, "results": shown})
    answer: dict[str, Json] = {"testCaseId": wanted, "groupBy": "branch", "trendDays": days, "resultsForGroup": groups}
    return Reply(answer | ({"continuationToken": str(place + 1)} if place + 1 < len(names) else {}))


def _runs_between(call: Call) -> Reply:
    least, most = call.query.get(_LEAST, ""), call.query.get(_MOST, "")
    if not least or not most or _moment(most) - _moment(least) > WINDOW:
        raise invalid(f"The time between {_LEAST} and {_MOST} can be at most 7 days.", "InvalidPropertyException")
    found = [one for one in _runs(call) if within(call, _changed_at(one), _LEAST, _MOST)]
    return by_token(call, found, lambda one: _run_json(call, one))


def _runs(call: Call) -> list[Run]:
    return [one for one in call.world.code.proofs.runs_of(call.organisation).values() if one.project == call.project]


def _run(call: Call) -> Run:
    wanted = call.number("run")
    found = next((one for one in _runs(call) if one.id == wanted), None)
    if found is None:
        raise ServiceError(404, f"Test run {wanted} not found.", "TestObjectNotFoundException", namespace=TESTS)
    return found


def _result(call: Call, found: Run, body: dict[str, Json]) -> Result:
    """A result. One of a point takes its test case from it, and is its newest from now on."""
    point = _point(call, found, number(inner(body, "testPoint"), "id"))
    duration = body.get("durationInMs")
    made = Result(
        100_000 + len(found.results),
        found.id,
        text(body, "testCaseTitle"),
        needed(body, "outcome"),
        call.world.clock.now(),
        call.identity,
        test_case=point.test_case if point else number(inner(body, "testCase"), "id"),
        point_id=point.id if point else 0,
        suite_id=point.suite_id if point else 0,
        automated_name=text(body, "automatedTestName"),
        duration_ms=duration if isinstance(duration, int | float) else 0.0,
        error=text(body, "errorMessage"),
    )
    if point:
        build = _build(call, found)
        point.last, point.last_build_number = made, build.number if build else ""
    return made


def _point(call: Call, found: Run, wanted: int) -> Point | None:
    if not wanted:
        return None
    plan = call.world.code.proofs.plans_of(call.organisation).get(found.plan_id)
    for suite in plan.suites.values() if plan else ():
        for point in suite.points:
            if point.id == wanted:
                return point
    raise invalid(f"Test point {wanted} is none of the plan of the run {found.id}.", "TestObjectNotFoundException")


def _build(call: Call, found: Run) -> Build | None:
    return call.world.code.builds.builds_of(call.organisation).get(found.build_id)


def _branch(call: Call, found: Run) -> str:
    build = _build(call, found)
    return build.branch if build else ""


def _changed_at(one: Run) -> str:
    return max([one.at, one.completed_at, *(result.at for result in one.results)], key=lambda at: _moment(at or one.at))


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _shallow(number_or_id: int | str, name: str, url: str = "") -> dict[str, Json]:
    """Ids in references are texts here."""
    return {"id": str(number_or_id), "name": name, **({"url": url} if url else {})}


def _root(call: Call) -> str:
    return f"{call.links.root}/{call.project}/_apis/test"


def _run_json(call: Call, one: Run) -> dict[str, Json]:
    build = _build(call, one)
    url = f"{_root(call)}/Runs/{one.id}"
    body: dict[str, Json] = {
        "id": one.id,
        "name": one.name,
        "url": url,
        "webAccessUrl": f"{call.links.root}/{call.project}/_TestManagement/Runs?runId={one.id}",
        "isAutomated": one.is_automated,
        "owner": identity_json(one.by, call.links),
        "project": _shallow(call.links.project_id(one.project), one.project),
        "createdDate": one.at,
        "startedDate": one.at,
        "lastUpdatedDate": _changed_at(one),
        "state": one.state,
        "totalTests": len(one.results),
        "incompleteTests": 0,
        "passedTests": sum(result.outcome == "Passed" for result in one.results),
        "revision": 1 + len(one.results),
    }
    if build:
        body["build"] = _shallow(build.id, build.number)
    if one.plan_id:
        body["plan"] = _shallow(one.plan_id, "")
    return body | ({"completedDate": one.completed_at} if one.completed_at else {})


def _result_json(call: Call, found: Run, one: Result) -> dict[str, Json]:
    build = _build(call, found)
    url = f"{_root(call)}/Runs/{found.id}"
    body: dict[str, Json] = {
        "id": one.id,
        "project": _shallow(call.links.project_id(found.project), found.project),
        "startedDate": one.at,
        "completedDate": one.at,
        "durationInMs": one.duration_ms,
        "outcome": one.outcome,
        "state": one.state,
        "revision": 1,
        "testCaseTitle": one.title,
        "testRun": _shallow(found.id, found.name, url),
        "runBy": identity_json(one.by, call.links),
        "lastUpdatedDate": one.at,
        "priority": 0,
        "createdDate": one.at,
        "url": f"{url}/Results/{one.id}",
        "failureType": "None",
    }
    if one.test_case:
        body["testCase"] = _shallow(one.test_case, one.title)
    if one.point_id:
        body |= {"testPoint": _shallow(one.point_id, ""), "testSuite": _shallow(one.suite_id, "")}
    if build:
        body["build"] = _shallow(build.id, build.number)
    texts = {"automatedTestName": one.automated_name, "errorMessage": one.error}
    return body | {name: value for name, value in texts.items() if value}


_RUNS = "testresults/runs"
_ONE = f"{_RUNS}/{{run}}"
OPERATIONS = (
    Operation("test_runs.list", "GET", _RUNS, runs, scope="project", preview=True),
    Operation("test_runs.create", "POST", _RUNS, create, scope="project", preview=True),
    Operation("test_runs.get", "GET", _ONE, run, scope="project", preview=True),
    Operation("test_runs.update", "PATCH", _ONE, update, scope="project", preview=True),
    Operation("test_results.list", "GET", f"{_ONE}/results", results, scope="project", preview=True),
    Operation("test_results.add", "POST", f"{_ONE}/results", add, scope="project", preview=True),
    Operation(
        "test_results.history", "POST", "testresults/results/testhistory", history, scope="project", preview=True
    ),
)
