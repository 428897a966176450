"""Every way in which Azure DevOps does not do what it was asked, and the error that says whether to ask again."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.errors import (
    NotPermitted,
    NotSignedIn,
    RuleBroken,
    TooManyResults,
    UnknownOrganisation,
)
from pointsman.clients.azure_devops.patches import at_rev, set_field
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops.fault_kinds import SIGN_IN_PAGE
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(seeded=True) as running:
        yield running


async def test_unknown_token_is_rejected(azure: Azure) -> None:
    async with AzureDevOps(azure.base_url, SecretStr("expired")) as stranger:
        with pytest.raises(NotSignedIn, match=r"HTTP 401, TF400813.*token is not accepted") as refused:
            await stranger.work_items.get(1)
    told = (
        f"organisation 'fabrikam' at {azure.base_url} does not let us in: GET _apis/wit/workitems/1 was answered with"
    )
    assert str(refused.value).startswith(told)
    assert refused.value.code == "UnauthorizedRequestException"
    assert not isinstance(refused.value, (Missing, Conflict))


async def test_an_organisation_that_is_not_there_is_told_from_a_thing_that_is_not(azure: Azure) -> None:
    async with AzureDevOps(azure.base_url.replace("fabrikam", "nowhere"), SecretStr(SERVICE_TOKEN)) as elsewhere:
        with pytest.raises(UnknownOrganisation, match=r"there is no organisation 'nowhere' at .*HTTP 404"):
            await elsewhere.connection_data()
    with pytest.raises(Missing) as missing:
        await azure.service.work_items.get(9_999)
    assert not isinstance(missing.value, UnknownOrganisation)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (203, {}, SIGN_IN_PAGE),
        (200, {}, SIGN_IN_PAGE),
        (302, {"Location": "https://spsprodcus1.vssps.visualstudio.com/_signin"}, ""),
    ],
    ids=["203 with a page", "200 with a page", "redirect"],
)
async def test_sign_in_page_means_that_the_token_is_bad(
    azure: Azure, status: int, headers: dict[str, str], body: str
) -> None:
    await azure.fail(status=status, headers={**headers}, body=body, content_type="text/html; charset=utf-8")
    with pytest.raises(NotSignedIn, match="sign-in page") as refused:
        await azure.service.work_items.get(1)
    assert refused.value.code == "SignInRequired"


async def test_forbidden_is_rejected_with_the_code_of_the_service(azure: Azure) -> None:
    body = '{"message": "VS800075: No.", "typeKey": "AccessCheckException"}'
    await azure.fail(status=403, body=body)
    with pytest.raises(NotPermitted, match="lacks the permission") as refused:
        await azure.service.work_items.get(1)
    assert refused.value.code == "AccessCheckException"


async def test_code_falls_back_to_the_number_in_the_message(azure: Azure) -> None:
    await azure.fail(status=403, body='{"message": "TF50309: no permission."}')
    with pytest.raises(Rejected) as refused:
        await azure.service.work_items.get(1)
    assert refused.value.code == "TF50309"


async def test_unknown_item_is_missing(azure: Azure) -> None:
    with pytest.raises(Missing, match="TF401232: Work item 999 does not exist") as missing:
        await azure.service.work_items.get(999)
    told = str(missing.value)
    assert told.startswith(
        f"organisation 'fabrikam' at {azure.service.base_url} has no work item 999 for our account. "
    )
    assert "GET" not in told
    assert "HTTP" not in told
    assert missing.value.code == "WorkItemUnauthorizedAccessException"


async def test_unknown_project_is_missing(azure: Azure) -> None:
    with pytest.raises(Missing, match="TF200016") as missing:
        await azure.service.work_items.create("Nowhere", "Bug", [set_field("System.Title", "x")])
    assert missing.value.code == "ProjectDoesNotExistWithNameException"


async def test_bad_route_in_plain_text_is_missing(azure: Azure) -> None:
    await azure.fail(status=404, body="page not found", content_type="text/plain")
    with pytest.raises(Missing, match="page not found"):
        await azure.service.work_items.get(1)


async def test_other_revision_is_a_conflict(azure: Azure) -> None:
    with pytest.raises(Conflict, match=r"VS403351.*value 2 was not equal to test value 1.*nothing was changed"):
        await azure.service.work_items.patch(1, [at_rev(1), set_field("System.Title", "x")])
    assert (await azure.service.work_items.get(1)).rev == 2


@pytest.mark.parametrize("status", [400, 409, 412])
async def test_race_inside_of_the_service_is_a_conflict_whatever_its_status(azure: Azure, status: int) -> None:
    message = "TF26071: This work item has been changed by someone else since you opened it."
    await azure.fail(status=status, body=f'{{"message": "{message}"}}')
    with pytest.raises(Conflict) as conflict:
        await azure.service.work_items.patch(1, [set_field("System.Title", "x")])
    assert conflict.value.code == "TF26071"


async def test_broken_rule_is_rejected(azure: Azure) -> None:
    with pytest.raises(Rejected, match="TF401320: Rule Error for field State") as refused:
        await azure.service.work_items.patch(1, [set_field("System.State", "Sleeping")])
    assert refused.value.code == "RuleValidationException"
    assert not isinstance(refused.value, Conflict)


async def test_framework_error_in_the_older_envelope_keeps_its_message(azure: Azure) -> None:
    await azure.fail(status=400, body='{"count": 1, "value": {"Message": "The request is invalid."}}')
    with pytest.raises(Rejected, match=r"The request is invalid\.") as refused:
        await azure.service.work_items.get(1)
    assert refused.value.code == "BadRequest"


async def test_blocked_usage_is_unavailable_for_as_long_as_the_service_says(azure: Azure) -> None:
    await azure.fail(status=429, headers={"Retry-After": "17"}, body='{"message": "TF400733: blocked"}')
    with pytest.raises(Unavailable, match="TF400733") as unavailable:
        await azure.service.work_items.get(1)
    assert unavailable.value.retry_after == timedelta(seconds=17)


async def test_retry_after_may_be_a_date_and_is_capped(azure: Azure) -> None:
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    await azure.fail(status=503, headers={"Retry-After": tomorrow})
    with pytest.raises(Unavailable) as unavailable:
        await azure.service.work_items.get(1)
    assert unavailable.value.retry_after == timedelta(minutes=5)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_service_in_trouble_is_unavailable(azure: Azure, status: int) -> None:
    await azure.fail(status=status)
    with pytest.raises(Unavailable) as unavailable:
        await azure.service.work_items.get(1)
    assert unavailable.value.retry_after is None


async def test_success_with_retry_after_slows_the_client(azure: Azure) -> None:
    await azure.fail(headers={"Retry-After": "30"})
    assert (await azure.service.work_items.get(1)).id == 1
    with pytest.raises(Unavailable, match="not sent, the service asked to wait") as unavailable:
        await azure.service.work_items.get(1)
    assert unavailable.value.retry_after is not None
    assert timedelta(seconds=20) < unavailable.value.retry_after <= timedelta(seconds=30)
    counters = await azure.control("GET", "counters")
    assert counters["requests"] == {"work_items.get 200": 1}


async def test_slowed_client_waits_by_itself_when_it_is_short(azure: Azure) -> None:
    await azure.fail(headers={"Retry-After": "0.05"})
    await azure.service.work_items.get(1)
    assert (await azure.service.work_items.get(1)).id == 1


async def test_one_slowed_client_does_not_slow_another(azure: Azure) -> None:
    await azure.fail(headers={"Retry-After": "30"})
    await azure.service.work_items.get(1)
    assert (await azure.person.work_items.get(1)).id == 1


async def test_nobody_there_is_unavailable() -> None:
    async with azure_devops() as gone:
        base_url = gone.base_url
    async with AzureDevOps(base_url, SecretStr(SERVICE_TOKEN)) as client:
        with pytest.raises(Unavailable, match="nothing was sent"):
            await client.work_items.get(1)


async def test_dropped_connection_leaves_a_write_in_doubt(azure: Azure) -> None:
    await azure.fail(method="PATCH", drop=True, after=True)
    with pytest.raises(Unavailable, match="may have been carried out"):
        await azure.service.work_items.patch(1, [at_rev(2), set_field("System.Title", "Written all the same")])
    item = await azure.service.work_items.get(1)
    assert (item.rev, item.fields["System.Title"]) == (3, "Written all the same")


async def test_dropped_connection_of_a_read_changed_nothing(azure: Azure) -> None:
    await azure.fail(drop=True)
    with pytest.raises(Unavailable, match="nothing was changed"):
        await azure.service.work_items.get(1)


async def test_lost_answer_of_a_failing_gateway_leaves_a_write_in_doubt(azure: Azure) -> None:
    await azure.fail(method="PATCH", status=502, after=True)
    with pytest.raises(Unavailable, match="may have been carried out"):
        await azure.service.work_items.patch(1, [set_field("System.Title", "x")])


async def test_silence_is_unavailable(azure: Azure) -> None:
    await azure.fail(delay_seconds=5)
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(60, read=0.05)) as hasty:
        client = AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), http=hasty)
        with pytest.raises(Unavailable, match="ReadTimeout"):
            await client.work_items.get(1)


async def test_answer_of_another_shape_is_rejected_without_showing_it(azure: Azure) -> None:
    await azure.fail(status=200, body='{"id": "private words"}')
    with pytest.raises(Rejected, match="of another shape, at id") as refused:
        await azure.service.work_items.get(1)
    assert refused.value.code == "UnexpectedAnswer"
    assert "private words" not in str(refused.value)


async def test_nothing_is_asked_twice(azure: Azure) -> None:
    await azure.fail(status=503, times=5)
    with pytest.raises(Unavailable):
        await azure.service.work_items.get(1)
    assert (await azure.control("GET", "counters"))["faults_injected"] == 1


async def test_calls_at_once_do_not_disturb_each_other(azure: Azure) -> None:
    items = await asyncio.gather(*(azure.service.work_items.get(1 + number % 5) for number in range(50)))
    assert [item.id for item in items] == [1 + number % 5 for number in range(50)]


async def test_token_is_in_no_error_and_no_repr(azure: Azure) -> None:
    client = AzureDevOps(azure.base_url, SecretStr("s3cret-token"))
    with pytest.raises(Rejected) as refused:
        await client.work_items.get(1)
    await client.close()
    shown = f"{client!r} {client.work_items!r} {refused.value!r} {refused.value.__cause__!r} {vars(client)!r}"
    assert "s3cret-token" not in shown


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://dev.azure.com/fabrikam", "expected https"),
        ("https://me:hush@dev.azure.com/fabrikam", "must not carry credentials"),
        ("https://dev.azure.com", "names no organisation"),
    ],
)
def test_url_that_would_give_the_token_away_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        AzureDevOps(url, SecretStr("t"))
    assert "hush" not in str(refused.value)


async def test_broken_rule_says_which(azure: Azure) -> None:
    with pytest.raises(RuleBroken) as refused:
        await azure.service.work_items.patch(1, [set_field("System.State", "Sleeping")])
    (rule,) = refused.value.rules
    assert (rule.field, rule.message[:8]) == ("System.State", "TF401320")
    assert rule.flags


async def test_broken_rule_without_a_list_of_rules_is_one_all_the_same(azure: Azure) -> None:
    body = '{"message": "TF401320: Rule Error", "customProperties": {"RuleValidationErrors": [null, 5, {}]}}'
    await azure.fail(status=400, body=body)
    with pytest.raises(RuleBroken) as refused:
        await azure.service.work_items.get(1)
    assert [rule.field for rule in refused.value.rules] == [""]


async def test_query_that_finds_too_much_says_so(azure: Azure) -> None:
    await azure.fail(status=400, body='{"message": "VS402337: The number of work items exceeds 20000."}')
    with pytest.raises(TooManyResults) as refused:
        await azure.service.work_items.query("SELECT [System.Id] FROM WorkItems")
    assert refused.value.code == "VS402337"


async def test_list_that_comes_with_a_401_is_no_empty_list(azure: Azure) -> None:
    await azure.fail(status=401, body='{"count": 0, "value": []}')
    with pytest.raises(NotSignedIn):
        await azure.service.hooks.list("workitem.created")
