"""Settings by the names that people know; what is wrong is named with its value, and keys are never shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

import pointsman.llm
from pointsman.llm import LLMRequest, Role, text_message
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.keys import KEY_VARIABLES
from pointsman.llm.settings import ALLOWED_BY_DEFAULT, LLMSettings, SettingsError, load_settings
from pointsman.llm.setup import factories, keys_of, make_service, rules_of

OTHER_REGIONS = ("AWS_DEFAULT_REGION", "AWS_PROFILE")


def test_defaults_are_those_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ALLOWED_MODELS"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(None)
    assert (settings.llm_request_timeout, settings.llm_max_retries, settings.llm_retry_exponential_base) == (60, 3, 2)
    assert settings.llm_rate_limit_max_retries == 5
    assert settings.allowed_models == ALLOWED_BY_DEFAULT
    assert settings.openai_api_key is None


def test_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("OPENAI_API_KEY=from-file\nMISTRAL_API_KEY=from-file\nALLOWED_MODELS=gpt-6*, claude-*\n")
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    settings = load_settings(env_file)
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "from-environment"
    assert settings.mistral_api_key is not None
    assert settings.allowed_models == ("gpt-6*", "claude-*")
    assert "from-" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LLM_REQUEST_TIMEOUT", "0", "setting LLM_REQUEST_TIMEOUT is '0'"),
        ("LLM_REQUEST_TIMEOUT", "soon", "setting LLM_REQUEST_TIMEOUT is 'soon'"),
        ("LLM_MAX_RETRIES", "-1", "greater than or equal to 0"),
        ("LLM_RETRY_EXPONENTIAL_BASE", "0.5", "greater than or equal to 1"),
        ("LLM_RETRY_EXPONENTIAL_BASE", "inf", "finite number"),
        ("LLM_REQUEST_TIMEOUT", "nan", "finite number"),
        ("LLM_REQUEST_TIMEOUT", "86400", "less than or equal to 3600"),
        ("LLM_RATE_LIMIT_MAX_RETRIES", "many", "is 'many': Input should be a valid integer"),
        ("ALLOWED_MODELS", ",", "at least 1 item"),
        ("OPENAI_BASE_URL", "gateway:8080", "is 'gateway:8080': allowed: an http:// or https:// URL"),
        ("MISTRAL_BASE_URL", "https://", "allowed: an http:// or https:// URL with a host"),
        ("AWS_REGION", "Ireland", "setting AWS_REGION is 'Ireland': String should match pattern"),
        ("AWS_DEFAULT_REGION", "Ireland", "setting AWS_DEFAULT_REGION is 'Ireland'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(None)
    assert told in str(caught.value)
    assert "Nothing was started" in str(caught.value)


def test_the_template_names_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LLMSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    template = (Path(__file__).parents[2] / ".env.template").read_text()
    named = re.findall(r"^(?:# )?([A-Z_]+)=", template, re.MULTILINE)
    assert named == [name.upper() for name in LLMSettings.model_fields]
    env_file = tmp_path / ".env"
    env_file.write_text(re.sub(r"^# (?=[A-Z_]+=)", "", template, flags=re.MULTILINE))
    assert load_settings(env_file) == load_settings(None)


def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_BASE_URL", "https://ada:s3cret@gateway.example.com")
    with pytest.raises(SettingsError, match="setting GOOGLE_BASE_URL: allowed: a URL without a password") as caught:
        load_settings(None)
    assert "s3cret" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MAX_RETRIES", "-1")
    monkeypatch.setenv("LLM_REQUEST_TIMEOUT", "0")
    with pytest.raises(SettingsError, match=r"LLM_REQUEST_TIMEOUT is '0'.*LLM_MAX_RETRIES is '-1'"):
        load_settings(None)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"OPENAI_API_KEY=\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(env_file)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("gpt-6-luna", "OPENAI_API_KEY"),
        ("claude-haiku-5-5", "ANTHROPIC_API_KEY"),
        ("gemini-3.5-flash-lite", "GOOGLE_API_KEY"),
        ("mistral-small-2603", "MISTRAL_API_KEY"),
        ("global.anthropic.claude-haiku-5-5", "AWS_REGION"),
        ("azure/gpt-6-luna", "AZURE_OPENAI_ENDPOINT"),
    ],
)
async def test_a_provider_that_is_not_set_up_names_the_variable_that_it_wants(
    monkeypatch: pytest.MonkeyPatch, model: str, variable: str
) -> None:
    for name in (*KEY_VARIABLES.values(), *OTHER_REGIONS):
        monkeypatch.delenv(name, raising=False)
    async with make_service(load_settings(None)) as service:
        with pytest.raises(AuthenticationError, match=rf"set {variable}\b.*Nothing was sent"):
            await service.complete(LLMRequest(model=model, messages=(text_message(Role.USER, "Hello"),)))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALLOWED_MODELS", "gpt6-luna,gtp-*", "ALLOWED_MODELS is 'gpt6-luna, gtp-*': it names no model that is known"),
        ("LLM_DEFAULT_MODEL", "gpt-7", "LLM_DEFAULT_MODEL is 'gpt-7': it is not among the known models"),
        ("LLM_DEFAULT_MODEL", "gpt-5.5", "LLM_DEFAULT_MODEL is 'gpt-5.5': ALLOWED_MODELS does not have it"),
    ],
)
def test_a_setting_that_names_no_model_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"Nothing was started") as caught:
        rules_of(load_settings(None))
    assert told in str(caught.value)


async def test_a_service_is_put_together_from_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("ALLOWED_MODELS", "gpt-6-luna")
    settings = load_settings(None)
    assert repr(keys_of(settings)) == "OperatorKeys(['openai'])"
    assert rules_of(settings).governance.permits("gpt-6-luna")
    assert not rules_of(settings).governance.permits("gpt-6.1-sol")
    async with make_service(settings) as service:
        assert service.waiting("openai") == 0


async def test_each_provider_that_has_a_key_has_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", *OTHER_REGIONS):
        monkeypatch.delenv(name, raising=False)
    assert "bedrock" not in factories(load_settings(None))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for provider, make in factories(load_settings(None)).items():
        client = make(SecretStr("sk-1:and-2"))
        assert client.provider == provider
        await client.aclose()


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-gov-west-1", "AWS_PROFILE": "work"}, "us-gov-west-1"),
        ({"AWS_REGION": "eusc-de-east-1"}, "eusc-de-east-1"),
        ({"AWS_PROFILE": "work"}, "eu-central-1"),
        ({"AWS_PROFILE": "default"}, "sa-east-1"),
        ({"AWS_PROFILE": "bare"}, None),
        ({"AWS_PROFILE": "none of that name"}, None),
        ({}, None),
    ],
)
def test_bedrock_is_used_where_the_environment_names_a_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str | None
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = sa-east-1\n[profile work]\ns3 =\n  a = b\nregion=eu-central-1\n[profile bare]\n"
    )
    for name in ("AWS_REGION", *OTHER_REGIONS):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, "AWS_CONFIG_FILE": str(config)}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(None)
    assert settings.bedrock_region == region
    assert ("bedrock" in factories(settings), keys_of(settings).has("bedrock")) == (region is not None,) * 2


def test_a_file_of_profiles_that_cannot_be_read_switches_nothing_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert load_settings(None).bedrock_region is None
    (tmp_path / "config").write_bytes(b"region = \xff before any profile")
    assert load_settings(None).bedrock_region is None


def test_the_package_gives_its_names_and_no_others() -> None:
    assert {name for name in pointsman.llm.__all__ if getattr(pointsman.llm, name) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = pointsman.llm.Nonsense


def test_a_script_that_imports_the_service_loads_neither_temporal_nor_a_database() -> None:
    script = (
        "import sys; from pointsman.llm import LLMService, llm_service; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'temporalio', 'sqlmodel', 'sqlalchemy', 'openai', 'anthropic', 'google', 'mistralai', 'boto3'}))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
