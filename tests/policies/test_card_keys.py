"""Keys of cards travel in policy: public ones, from a file beside it."""

import json
from pathlib import Path

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentService
from pointsman.policies.loading import PolicyError, load

PUBLIC: dict[str, Json] = {
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "2026",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
POLICY = "routes: []\nagents: [{name: a, service: {url: 'https://h', signed_by: keys/theirs.json}}]\n"


def policy(folder: Path, keys: str) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys/theirs.json").write_text(keys)
    return folder


def test_keys_of_the_file_are_part_of_the_policy_and_of_its_hash(tmp_path: Path) -> None:
    first = load(policy(tmp_path, json.dumps({"keys": [PUBLIC]}, indent=2))).policy
    service = first.agents[0].service
    assert isinstance(service, AgentService)
    assert (service.signed_by, json.loads(service.card_keys)) == ("keys/theirs.json", {"keys": [PUBLIC]})
    assert load(policy(tmp_path, json.dumps({"keys": [PUBLIC]}))).policy.hash == first.hash
    assert load(policy(tmp_path, json.dumps({"keys": [{**PUBLIC, "kid": "2027"}]}))).policy.hash != first.hash


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("no key", "theirs.json is no JSON"),
        ("[]", 'must be a JSON Web Key Set: {"keys": [...]} with 1 to 16 keys'),
        (json.dumps({"keys": [PUBLIC] * 17}), "with 1 to 16 keys"),
        (
            json.dumps({"keys": [PUBLIC, {"kty": "oct", "k": "secret"}]}),
            "key 1 must be a public key of kty EC, OKP, RSA",
        ),
        (json.dumps({"keys": [{**PUBLIC, "d": "secret"}]}), "key 0 holds d, which is private"),
    ],
)
def test_file_that_is_no_set_of_public_keys_is_refused_without_showing_it(tmp_path: Path, keys: str, why: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(policy(tmp_path, keys))
    assert "2: agents.0.service.signed_by: keys/theirs.json: " in str(refused.value)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)
