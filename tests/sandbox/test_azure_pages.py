"""Pages of items in the stand-in, and faults by their names."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.ports import Conflict, Rejected
from tests.sandbox.azure import Azure, azure_devops


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_the_link_of_an_item_leads_to_its_page(azure: Azure) -> None:
    items = azure.person.work_items
    made = await azure.make(title="<b>Basket</b> is empty", TCM_ReproSteps="<ol><li>Open</li><li>Look</li></ol>")
    said = await items.add_comment("Fabrikam", made.id, "<p>Mine &amp; yours</p><script>alert(1)</script>")
    await items.edit_comment("Fabrikam", made.id, said.id, "<p>Ours</p>")
    by_path = f"{azure.base_url}/Fabrikam/_workitems/edit/{made.id}"
    for url in (made.page, by_path):
        page = await azure.http.get(url)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for text in ("Bug 1: &lt;b&gt;Basket&lt;/b&gt; is empty", "<td>New", "Open\nLook", "Ada Byron", "Ours"):
            assert text in page.text
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_there_is_no_page_of_an_item_that_is_not(azure: Azure) -> None:
    page = await azure.http.get(f"{azure.base_url}/Fabrikam/_workitems/edit/99")
    assert (page.status_code, "Work item 99 does not exist" in page.text) == (404, True)


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("race", 409, "TF26071"),
        ("throttled", 429, "TF400733"),
        ("unavailable", 503, "Unavailable"),
        ("query_timeout", 400, "VS402335"),
        ("sign_in", 203, "Sign in"),
        ("slowed", 401, ""),
    ],
)
async def test_a_fault_has_a_name_and_the_words_of_the_service(
    azure: Azure, kind: str, status: int, words: str
) -> None:
    await azure.fail(kind=kind)
    answer = await azure.http.get(f"{azure.base_url}/_apis/projects?api-version=7.1")
    assert (answer.status_code, words in answer.text) == (status, True)
    assert ("Retry-After" in answer.headers) is (kind in ("throttled", "slowed"))


async def test_a_race_is_a_conflict_and_changes_nothing(azure: Azure) -> None:
    made = await azure.make()
    await azure.fail(kind="race", method="PATCH")
    with pytest.raises(Conflict, match="TF26071"):
        await azure.service.work_items.patch(made.id, [set_field("System.Title", "Other")])
    assert (await azure.service.work_items.get(made.id)).rev == 1


async def test_a_fault_without_a_name_is_as_it_is_told(azure: Azure) -> None:
    await azure.fail(status=418, body="{}")
    with pytest.raises(Rejected, match="HTTP 418"):
        await azure.service.work_items.get(1)
