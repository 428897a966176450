"""Settings: who wins, what is refused and how it is said, and that no secret is ever shown."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from pointsman import config
from pointsman.config import Misconfigured, load

SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of whoever runs the tests."""
    for name, _ in config._fields():
        monkeypatch.delenv(config.variable(name), raising=False)
        monkeypatch.delenv(f"{config.variable(name)}_FILE", raising=False)
    monkeypatch.delenv(config.CONFIG_FILE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def toml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own.toml"
    file.write_text(text)
    monkeypatch.setenv(config.CONFIG_FILE_VARIABLE, str(file))
    return file


def origin(name: str, settings: config.Settings) -> str:
    return next(line.origin for line in settings.explain() if line.name == name)


def test_nothing_set_gives_defaults_in_one_data_folder(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/pointsman.db"
    assert make_url(load(data_dir="/x/50%41?").database_url.get_secret_value()).database == "/x/50%41?/pointsman.db"
    assert settings.key_dir == tmp_path / "keys"
    assert settings.webhook_max_bytes == 2 * 1024 * 1024 + 256 * 1024
    assert origin("web_port", settings) == "default"


def test_argument_beats_environment_beats_file_beats_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = toml(monkeypatch, tmp_path, 'web_port = 1001\nweb_host = "127.0.0.2"\ntask_queue = "ours"\n')
    monkeypatch.setenv("POINTSMAN_WEB_PORT", "1002")
    monkeypatch.setenv("POINTSMAN_WEB_HOST", "127.0.0.3")
    settings = load(web_port=1003)
    assert (settings.web_port, settings.web_host, settings.task_queue) == (1003, "127.0.0.3", "ours")
    assert origin("web_port", settings) == "argument"
    assert origin("web_host", settings) == "environment POINTSMAN_WEB_HOST"
    assert origin("task_queue", settings) == f"file {file}"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PORT", "")
    assert load().web_port == 8080


def test_a_secret_comes_from_the_file_that_a_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN_FILE", str(file))
    settings = load()
    assert settings.azure_devops_token is not None
    assert settings.azure_devops_token.get_secret_value() == SECRET
    assert origin("azure_devops_token", settings) == f"file {file} (POINTSMAN_AZURE_DEVOPS_TOKEN_FILE)"


def test_a_file_of_secrets_may_hold_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}-1\n{SECRET}-2\n")
    toml(monkeypatch, tmp_path, f'webhook_secrets_file = "{file}"\n')
    assert [secret.get_secret_value() for secret in load().webhook_secrets] == [f"{SECRET}-1", f"{SECRET}-2"]


def test_tokens_of_callers_name_a_tenant_and_a_user_where_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "dGhlIHRva2Vu-._~+/" * 2 + "=="
    given = [token, f"north:{token}", f"north/ada@north.example:{token}"]
    monkeypatch.setenv("POINTSMAN_RPC_TOKENS", ", ".join(given))
    settings = load()
    assert [entry.get_secret_value() for entry in settings.rpc_tokens] == given
    assert token not in repr(settings) + repr(settings.explain()) + settings.model_dump_json()


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "POINTSMAN_AZURE_DEVOPS_URL", "https://dev.azure.com/fabrikam/, https://contoso.visualstudio.com"
    )
    assert load().azure_devops_url == ("https://dev.azure.com/fabrikam", "https://contoso.visualstudio.com")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEB_PORT", "eighty", "'eighty'"),
        ("WEB_PORT", "70000", "65535"),
        ("LOG_FORMAT", "xml", "'json' or 'console'"),
        ("TEMPORAL_ADDRESS", "localhost", "HOST:PORT"),
        ("PUBLIC_URL", "ftp://host", "'ftp://host'"),
        ("AZURE_DEVOPS_URL", "https://dev.azure.com/", "names the organisation"),
        ("WEBHOOK_MAX_BYTES", "12", "1024"),
        ("WEBHOOK_USER", "a:b", "'a:b'"),
        ("RPC_MAX_BYTES", "12", "1024"),
    ],
)
def test_a_wrong_value_is_told_with_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"POINTSMAN_{name}", value)
    with pytest.raises(Misconfigured) as told:
        load()
    assert f"POINTSMAN_{name}" in str(told.value)
    assert said in str(told.value)


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PORT", "eighty")
    monkeypatch.setenv("POINTSMAN_LOG_LEVEL", "loud")
    with pytest.raises(Misconfigured, match=r"(?s)POINTSMAN_WEB_PORT.*POINTSMAN_LOG_LEVEL"):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_SECRETS", "tooshort"),
        ("WEBHOOK_SECRETS", f"{SECRET} with blanks"),
        ("DATABASE_URL", f"mysql://ada:{SECRET}@host/db"),
        ("DATABASE_URL", f"postgresql+nobody://ada:{SECRET}@host/db"),
        ("DATABASE_URL", f"postgresql+psycopg://ada:{SECRET}@host:port/db"),
        ("NOTIFY_WEBHOOK", f"ftp://host/{SECRET}"),
        ("RPC_TOKENS", SECRET[:20]),
        ("RPC_TOKENS", f"north:ada:{SECRET * 3}"),
        ("RPC_TOKENS", f"north/:{SECRET * 3}"),
        ("RPC_TOKENS", f"{SECRET * 3} with blanks"),
        ("PUBLIC_URL", f"https://ada:{SECRET}@host"),
    ],
)
def test_an_error_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"POINTSMAN_{name}", value)
    with pytest.raises(Misconfigured, match="allowed") as told:
        load()
    assert value not in str(told.value)
    assert SECRET not in str(told.value)


def test_neither_repr_nor_explanation_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", f"postgresql+psycopg://ada:{SECRET}@host/db?password={SECRET}")
    for name in ("WEBHOOK_SECRETS", "AZURE_DEVOPS_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(f"POINTSMAN_{name}", SECRET)
    monkeypatch.setenv("POINTSMAN_NOTIFY_WEBHOOK", f"https://host/{SECRET}")
    settings = load()
    assert SECRET not in repr(settings) + repr(settings.explain()) + settings.model_dump_json()
    assert "postgresql+psycopg://ada:********@host/db" in [line.value for line in settings.explain()]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/a@b:c/pointsman.db",
        "postgresql://ada:p:w#1@[::1]:5432/books",
        "postgresql+psycopg://ada@/books?host=/run/postgresql",
    ],
)
def test_any_url_of_a_database_that_can_be_opened_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", url)
    assert load().database_url.get_secret_value() == url


def test_a_secret_in_the_config_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = toml(monkeypatch, tmp_path, f'openai_api_key = "{SECRET}"\n')
    with pytest.raises(Misconfigured, match="openai_api_key_file") as told:
        load()
    assert str(file) in str(told.value)
    assert SECRET not in str(told.value)


def test_an_unknown_key_in_the_config_file_is_told_with_those_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    toml(monkeypatch, tmp_path, "web_prot = 80\n")
    with pytest.raises(Misconfigured, match=r"'web_prot'; allowed: .*web_port"):
        load()


def test_broken_toml_is_told_with_its_file_and_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = toml(monkeypatch, tmp_path, "web_port = \n")
    with pytest.raises(Misconfigured, match=rf"{file}: cannot be read as TOML: .*line 1"):
        load()


def test_a_missing_file_that_was_named_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(config.CONFIG_FILE_VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(Misconfigured, match=r"none\.toml"):
        load()


def test_a_missing_secret_file_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POINTSMAN_OPENAI_API_KEY_FILE", str(tmp_path / "gone"))
    with pytest.raises(Misconfigured, match=r"POINTSMAN_OPENAI_API_KEY_FILE: cannot read '.*gone'"):
        load()


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PROT", "80")
    monkeypatch.setenv("POINTSMAN_OPENAI_API_KEY_FILE", "/key")
    assert "POINTSMAN_WEB_PROT" in config.unknown_variables()
    assert "POINTSMAN_OPENAI_API_KEY_FILE" not in config.unknown_variables()


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(Misconfigured, match="web_prot"):
        load(web_prot=80)


def test_the_reference_names_every_setting_and_no_path_of_this_machine() -> None:
    reference = config.reference_markdown()
    assert all(f"`{config.variable(name)}`" in reference for name, _ in config._fields())
    assert str(Path.home()) not in reference
