"""`docker-compose.temporal.yml` against the Compose specification, our settings, and what each service waits for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from pointsman import config, temporal
from pointsman.contracts.base import Json
from pointsman.llm.settings import LLMSettings
from pointsman.policies import loading
from starter.needs import llm_settings, model_keys
from tests.deploy import compose

TEXT = compose.FILE.read_text(encoding="utf-8")
SERVICES = compose.services()
ONE_SHOTS = {"databases", "temporal-schema", "temporal-namespace", "migrate"}
OURS = {"migrate", "web", "worker"}
MODEL_KEYS = {
    "POINTSMAN_OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GOOGLE_API_KEY",
    "MISTRAL_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
}
NEEDS = {
    "service_healthy": "healthcheck",
    "service_completed_successfully": "command",
}


def dependencies() -> Iterator[tuple[str, str, str]]:
    for name, service in SERVICES.items():
        wanted = service.get("depends_on", {})
        assert isinstance(wanted, dict), f"{name} must say on which condition it waits"
        for other, how in wanted.items():
            assert isinstance(how, dict)
            yield name, other, str(how["condition"])


def test_file_holds_to_the_schema_of_the_specification(tmp_path: Path) -> None:
    validator = Draft202012Validator(compose.schema(tmp_path))
    faults = [error.json_path for error in validator.iter_errors(yaml.safe_load(TEXT))]
    assert faults == []


def test_schema_of_the_specification_refuses_a_misspelt_key(tmp_path: Path) -> None:
    content = yaml.safe_load(TEXT)
    content["services"]["web"]["helthcheck"] = {}
    assert not Draft202012Validator(compose.schema(tmp_path)).is_valid(content)


@pytest.mark.slow
def test_reference_implementation_loads_the_file_filled_in(tmp_path: Path) -> None:
    loaded = compose.load_by_specification(compose.filled_in(TEXT, compose.answers()), tmp_path)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.slow
def test_each_required_variable_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    loaded = compose.load_by_specification(TEXT, tmp_path)
    assert loaded.returncode != 0
    for one in compose.references(TEXT):
        if one.required:
            said = f"required variable {one.name} is missing a value: copy .env.example to .env and set {one.name}"
            assert said in loaded.stderr


@pytest.mark.slow
def test_reference_implementation_refuses_what_the_schema_lets_through(tmp_path: Path) -> None:
    broken = compose.filled_in(TEXT, {**compose.answers(), "WEB_PORT": "eighty"})
    assert Draft202012Validator(compose.schema(tmp_path)).is_valid(yaml.safe_load(broken))
    loaded = compose.load_by_specification(broken, tmp_path)
    assert loaded.returncode != 0
    assert "eighty" in loaded.stderr


def test_template_and_file_name_the_same_variables() -> None:
    assert set(compose.template()) == {one.name for one in compose.references(TEXT)}


def test_template_gives_every_default_and_no_secret() -> None:
    given = compose.template()
    assert {one.name for one in compose.references(TEXT) if one.required and given[one.name]} == set()
    assert {one.name: given[one.name] for one in compose.references(TEXT) if one.default} == {
        one.name: one.default for one in compose.references(TEXT) if one.default
    }


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    known = {config.variable(setting) for setting in config.Settings.model_fields} - {config.variable("origins")}
    given = {variable for variable in compose.environment(SERVICES[name]) if variable.startswith(config.PREFIX)}
    assert given <= known | config.OTHER_VARIABLES
    assert "POINTSMAN_DATABASE_URL" in given


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_of_a_service_are_valid_as_filled_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in compose.environment(SERVICES[name]).items():
        monkeypatch.setenv(variable, value)
    settings = config.load()
    assert settings.temporal_address == "temporal:7233"
    assert settings.policy_dir is not None
    assert config.unknown_variables() == []


def test_secrets_are_told_to_the_process_that_needs_them_only() -> None:
    def told(name: str) -> set[str]:
        return {variable for variable in compose.environment(SERVICES[name]) if re.search("SECRET|TOKEN|KEY", variable)}

    assert told("migrate") == set()
    assert told("web") == {"POINTSMAN_WEBHOOK_SECRETS", "POINTSMAN_RPC_TOKENS", *MODEL_KEYS}
    azure = {"POINTSMAN_AZURE_DEVOPS_TOKEN", "POINTSMAN_AZURE_DEVOPS_CLIENT_SECRET"}
    assert told("worker") == {*azure, *MODEL_KEYS}


@pytest.mark.parametrize("name", ["web", "worker"])
def test_whoever_asks_models_is_told_every_setting_of_the_model_service(name: str) -> None:
    given = compose.environment(SERVICES[name]).keys()
    ours = {"OPENAI_API_KEY", "OPENAI_BASE_URL"}  # by our own names, which come first
    wanted = {setting.upper() for setting in LLMSettings.model_fields}
    assert {variable for variable in given if variable in wanted} == wanted - ours
    assert {f"{config.PREFIX}{variable}" for variable in ours} <= given


@pytest.mark.parametrize("key", ["POINTSMAN_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY"])
def test_the_key_of_any_provider_is_enough_for_the_worker(
    key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # a `.env` of whoever runs the tests is not theirs
    for variable, value in compose.environment(SERVICES["worker"]).items():
        monkeypatch.setenv(variable, "" if variable in MODEL_KEYS else value)
    policy = loading.load(None).policy
    with pytest.raises(config.Misconfigured, match="is not set"):
        model_keys(llm_settings(config.load()), policy)
    monkeypatch.setenv(key, "k" * 24)
    model_keys(llm_settings(config.load()), policy)


def test_every_service_waits_for_services_that_can_reach_the_condition() -> None:
    for name, other, condition in dependencies():
        assert other in SERVICES, f"{name} waits for {other}, which does not exist"
        assert condition in NEEDS, f"{name} waits for {other} to be {condition}"
        assert NEEDS[condition] in SERVICES[other], f"{name} waits for {other}, which has no {NEEDS[condition]}"
        assert (other in ONE_SHOTS) == (condition == "service_completed_successfully")


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("temporal", {"postgresql", "databases", "temporal-schema"}),
        ("temporal-ui", {"temporal"}),
        ("migrate", {"postgresql", "databases"}),
        ("web", {"postgresql", "databases", "migrate", "temporal", "temporal-namespace"}),
        ("worker", {"postgresql", "databases", "migrate", "temporal", "temporal-namespace"}),
    ],
)
def test_service_starts_after_all_that_it_needs(name: str, before: set[str]) -> None:
    first: dict[str, set[str]] = {}
    for one, other, _ in dependencies():
        first.setdefault(one, set()).add(other)
    reached, waiting = set[str](), [name]
    while waiting:
        for other in first.get(waiting.pop(), set()) - reached:
            reached.add(other)
            waiting.append(other)
    assert before <= reached


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOTS))
def test_service_that_stays_is_watched_and_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_has_bounds(name: str) -> None:
    service = SERVICES[name]
    logging = service["logging"]
    assert isinstance(logging, dict)
    assert logging["options"] == {"max-size": "20m", "max-file": "5"}
    assert "mem_limit" in service
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_process_of_ours_can_write_only_where_it_must(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", str(SERVICES[name]["image"]))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in compose.listed(SERVICES[name], "ports"):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in SERVICES[name]


def test_who_publishes_a_port_is_on_a_network_with_a_way_out_and_the_database_is_not() -> None:
    networks = yaml.safe_load(TEXT)["networks"]
    inner = {name for name, network in networks.items() if network and network.get("internal")}
    for service in SERVICES.values():
        if "ports" in service:
            assert set(compose.listed(service, "networks")) - inner
    assert compose.listed(SERVICES["postgresql"], "networks") == ["database"]
    assert "database" in inner
    assert "database" not in compose.listed(SERVICES["temporal-ui"], "networks")


def test_volumes_are_named_and_declared_or_files_of_the_repository() -> None:
    declared = set(yaml.safe_load(TEXT)["volumes"])
    used = set[str]()
    for service in SERVICES.values():
        for volume in compose.listed(service, "volumes"):
            source, _, target = volume.partition(":")
            if source.startswith("./"):
                assert (compose.ROOT / source).exists(), f"{source} does not exist"
                assert target.endswith(":ro"), f"{volume} can be written to"
            else:
                used.add(source)
    assert used == declared


def test_history_shards_are_those_of_a_team() -> None:
    assert compose.environment(SERVICES["temporal"])["NUM_HISTORY_SHARDS"] == "512"


def test_dynamic_config_has_values_in_the_shape_that_the_server_reads() -> None:
    path = compose.ROOT / "deploy" / "temporal" / "dynamic-config.yaml"
    content: dict[str, list[dict[str, Json]]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["matching.enableFairness"] == [{"value": True}]
    assert content["system.enableActivityEagerExecution"] == [{"value": True}]
    assert content["limit.maxIDLength"] == [{"value": 255}]
    assert all("value" in one for values in content.values() for one in values)
    target = compose.environment(SERVICES["temporal"])["DYNAMIC_CONFIG_FILE_PATH"]
    mounts = compose.listed(SERVICES["temporal"], "volumes")
    assert mounts == [f"./deploy/temporal/dynamic-config.yaml:{target}:ro"]


def test_namespace_script_registers_every_search_attribute() -> None:
    script = (compose.ROOT / "deploy" / "temporal" / "create-namespace.sh").read_text(encoding="utf-8")
    found = re.search(r'^SEARCH_ATTRIBUTES="([^"]*)"$', script, re.MULTILINE)
    assert found
    assert found[1].split() == [key.name for key in temporal.SEARCH_ATTRIBUTES]


def test_own_policy_folder_of_the_template_can_be_loaded() -> None:
    folder = compose.ROOT / compose.template()["POLICY_DIR"]
    assert loading.load(folder).policy.agents == loading.load().policy.agents
