"""Which account comes to which organisation: one value for all, or one of its own; contradictions are told at once."""

import pytest

from pointsman import config
from pointsman.config import Misconfigured, load
from pointsman.config.organisations import Auth, Organisation

TENANT, CLIENT, SECRET = "00000000-1111-4222-8333-444444444444", "55555555-1111-4222-8333-444444444444", "proof~of.it"
FABRIKAM, CONTOSO = "https://dev.azure.com/fabrikam", "https://contoso.visualstudio.com"
COLLECTION = "https://tfs.example/tfs/Tools"
GIVEN = ("URL", "AUTH", "TOKEN", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "SERVER")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GIVEN:
        monkeypatch.delenv(f"POINTSMAN_AZURE_DEVOPS_{name}", raising=False)
        monkeypatch.delenv(f"POINTSMAN_AZURE_DEVOPS_{name}_FILE", raising=False)


def told(monkeypatch: pytest.MonkeyPatch, **given: str) -> dict[str, Organisation]:
    for name, value in given.items():
        monkeypatch.setenv(f"POINTSMAN_AZURE_DEVOPS_{name.upper()}", value)
    return {one.name: one for one in load().organisations()}


def test_one_token_serves_all_organisations(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, url=f"{FABRIKAM},{CONTOSO}", token="t0ken")
    assert {name: (one.auth, one.token and one.token.get_secret_value()) for name, one in found.items()} == {
        "fabrikam": (Auth.TOKEN, "t0ken"),
        "contoso": (Auth.TOKEN, "t0ken"),
    }


def test_each_organisation_may_have_an_account_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(
        monkeypatch,
        url=f"{FABRIKAM}, {CONTOSO}, {COLLECTION}",
        auth=f"client_secret, contoso:managed_identity, Tools:{Auth.TOKEN}",
        tenant_id=TENANT,
        client_id=f"{CLIENT}, contoso:other",
        client_secret="with:a colon",
        token="tools:t0ken",
        server="2020",
    )
    fabrikam, contoso, tools = found["fabrikam"], found["contoso"], found["tools"]
    assert fabrikam.client_secret is not None
    assert (fabrikam.tenant_id, fabrikam.client_id) == (TENANT, CLIENT)
    assert fabrikam.client_secret.get_secret_value() == "with:a colon"
    assert (contoso.auth, contoso.client_id, contoso.client_secret) == (Auth.MANAGED_IDENTITY, "other", None)
    assert tools.token is not None
    assert (tools.token.get_secret_value(), tools.client_id) == ("t0ken", "")
    assert [one.server for one in (fabrikam, contoso, tools)] == ["", "", "2020"]
    assert not any(one.missing() for one in found.values())


def test_what_a_kind_of_account_needs_is_named_only_by_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, url=FABRIKAM, auth="client_secret", client_id=CLIENT)
    assert found["fabrikam"].missing() == ("azure_devops_tenant_id", "azure_devops_client_secret")
    found = told(monkeypatch, auth="workload_identity", client_id="")
    assert found["fabrikam"].missing() == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": f"{FABRIKAM},https://fabrikam.visualstudio.com"}, "both name 'fabrikam'; leave one"),
        ({"client_id": CLIENT}, "CLIENT_ID is set, and no organisation uses it: .*AUTH is token; unset it, or set"),
        ({"auth": "managed_identity", "token": "t0ken"}, "TOKEN is set, and no organisation uses it"),
        ({"auth": "default", "token": "fabrikam:t0ken"}, "'fabrikam' has a value that is not used: .* is default for"),
        ({"token": "contoso:t0ken"}, "no organisation 'contoso' is configured; known: fabrikam"),
        ({"token": "one,two"}, "TOKEN: two values for all organisations; leave one"),
        ({"auth": "token,fabrikam:token,fabrikam:default"}, "AUTH: two values for fabrikam"),
        ({"server": "fabrikam:2022"}, "'fabrikam' is of the service .*, which has no release"),
        ({"server": "2022"}, "SERVER is set, and no organisation uses it: all are of the service"),
        ({"url": COLLECTION, "auth": "default"}, "'default' for 'tools' .*: Azure DevOps Server knows no accounts"),
        ({"url": "http://127.0.0.1:8080/tools", "auth": "default", "server": "2022"}, "knows no accounts of Entra"),
        ({"auth": "kerberos"}, "'kerberos'.* is not valid: allowed: KIND or ORGANISATION:KIND, a kind of token, def"),
        ({"server": "2015"}, "allowed: RELEASE or COLLECTION:RELEASE, a release of 2019, 2020, 2022, 2022.1"),
        ({"tenant_id": "fabri kam"}, "allowed: ID or ORGANISATION:ID"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    with pytest.raises(Misconfigured, match=said) as refused:
        told(monkeypatch, **{"url": FABRIKAM, **given})
    assert "pointsman config explain" in str(refused.value)


def test_no_contradiction_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as refused:
        told(monkeypatch, url=FABRIKAM, token=f"{SECRET},{SECRET}", client_secret=SECRET)
    assert SECRET not in str(refused.value)
    assert str(refused.value).count("POINTSMAN_AZURE_DEVOPS_") >= 2


def test_secrets_of_organisations_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_CLIENT_SECRET", f"{SECRET},fabrikam:{SECRET}")
    settings = load()
    shown = {one.name: one.value for one in settings.explain()}
    assert shown["azure_devops_client_secret"] == f"{config.MASK}, {config.MASK}"
    assert SECRET not in repr(settings) + repr(settings.explain()) + settings.model_dump_json()
    assert SECRET not in repr(settings.organisations())
