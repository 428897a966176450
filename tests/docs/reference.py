"""Pages and files of the documentation that are written from the code: `python -m tests.docs.reference` writes them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import wrap

from prometheus_client import Metric

from pointsman import config
from pointsman.llm.metrics import LLMMetrics
from pointsman.llm.registry import BUILT_IN, Registry
from pointsman.llm.settings import LLMSettings, descriptions
from pointsman.observability.metrics import Metrics
from pointsman.policies import loading
from starter.web.rpc.reference import reference_markdown
from tests.docs import api
from tests.docs.chain_picture import chain_picture
from tests.docs.coverage import coverage

ROOT = Path(__file__).parents[2]
WRITTEN = "<!-- Written by `python -m tests.docs.reference`. Change the code, not this page. -->"


def configuration() -> str:
    return f"""# Settings

{WRITTEN}

Every process reads the same settings. The first of these that says something counts:

1. an option of the command line,
2. the environment variable,
3. for secrets, the file that `POINTSMAN_..._FILE` names,
4. the TOML file of settings,
5. the default.

An empty variable counts as unset. The TOML file is `config.toml` in your configuration folder, or what
`{config.CONFIG_FILE_VARIABLE}` or `--config-file` names. Its keys are the names below in lower case without the prefix,
for example `web_port = 8080`. Secrets do not belong into it; `azure_devops_token_file = "..."` and the like do.

`pointsman config explain` says what is in force and who said so. It masks secrets, and names variables that begin with
`{config.PREFIX}` and mean nothing, which are most likely misspelt.

{config.reference_markdown()}
Read from the environment by single parts, without the other ways:

| Variable | What it is |
| --- | --- |
| `{config.CONFIG_FILE_VARIABLE}` | The TOML file of settings. |
| `POINTSMAN_TEMPORAL_BIN` | The `temporal` binary of the local server, instead of a search for it. |
| `POINTSMAN_AZURE_SPECS` | Folder with Microsoft's REST specifications, for tests of the stand-in. |
| `TEMPORAL_...` | Temporal's own client settings: TLS, API key, profile. They hold for the address that they name. |
| `OTEL_...` | OpenTelemetry's own. Traces are sent when an OTLP endpoint is set. |
| `NO_COLOR` | No colours on the terminal. |

## Of the model service

By the names that people know, without our prefix, from the environment or from a file `.env` in the folder of the
process; the environment comes first, and a variable that is empty counts as unset. `.env.template` names them all.
`POINTSMAN_OPENAI_API_KEY` and `POINTSMAN_OPENAI_BASE_URL` come before `OPENAI_API_KEY` and `OPENAI_BASE_URL`.

| Variable | Default | What it is |
| --- | --- | --- |
{_llm_rows()}
"""


def _llm_rows() -> str:
    rows = ((name.upper(), _llm_default(name), told) for name, told in descriptions().items())
    return "\n".join(
        f"| `{name}` | {f'`{default}`' if default else 'not set'} | {told} |" for name, default, told in rows
    )


def _llm_default(name: str) -> str:
    default: object = LLMSettings.model_fields[name].default
    if default == BUILT_IN:
        return ""  # its path depends on the machine that writes the page
    return ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)


def env_template() -> str:
    """Every setting of the model service, with its default; those without one are empty, which counts as unset."""
    parts = []
    for name, description in descriptions().items():
        default = _llm_default(name)
        told = "\n".join(wrap(f"# {description}", 118, subsequent_indent="# "))
        parts.append(f"{told}\n{'# ' if default else ''}{name.upper()}={default}\n")
    return (
        "# Settings of the model service. Copy this file to `.env`, fill in what you have, and keep it to yourself:\n"
        "#   cp .env.template .env && chmod 600 .env\n"
        "# Written by `python -m tests.docs.reference`. What is commented out shows the default.\n\n" + "\n".join(parts)
    )


def metrics() -> str:
    ours, models = Metrics(), LLMMetrics(Registry.load().models)
    return f"""# Metrics

{WRITTEN}

`GET /metrics` of the web process serves these in Prometheus' text format. Where a worker runs in the same process,
Temporal's own follow: their names begin with `temporal_`. A worker of its own serves both on loopback, on the port
`POINTSMAN_METRICS_PORT`. Counters count what the process did since it started; gauges are read from the store at
the moment of the request, so all processes tell the same.

{_table(ours)}
## Of the model service

Each process tells what it did itself, gauges too. [Watch the model service](../llm/metrics.md) has alerts and a
dashboard. `model` and `provider` are those of the file of models, and `other`; `status` is `success`, `cached`,
`cancelled`, or the name of an error, as `error_type` is.

{_table(models)}"""


def _table(owner: Metrics | LLMMetrics) -> str:
    rows = sorted(_row(metric, owner) for metric in owner.registry.collect())
    return "".join(["| Metric | Type | Labels | What it is |\n", "| --- | --- | --- | --- |\n", *rows])


def _row(metric: Metric, owner: Metrics | LLMMetrics) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = ", ".join(f"`{label}`" for label in _labels(metric.name, owner)) or "none"
    return f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |\n"


def _labels(name: str, owner: Metrics | LLMMetrics) -> tuple[str, ...]:
    found = next(one for one in vars(owner).values() if getattr(one, "_name", "") == name)
    return tuple(getattr(found, "_labelnames", ()))


def json_rpc() -> str:
    return f"""# JSON-RPC

{WRITTEN}

`POST /rpc` of the web process takes [JSON-RPC 2.0](https://www.jsonrpc.org/specification), one call or a batch.
[Models over JSON-RPC](../llm/json-rpc.md) shows how it is used.

{reference_markdown()}"""


def policy_schema() -> str:
    return json.dumps(loading.schema(), indent=2, ensure_ascii=False) + "\n"


GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/images/chain.svg": chain_picture,
    ".env.template": env_template,
    "docs/llm/api.md": lambda: api.page(WRITTEN),
    "docs/reference/azure-devops-coverage.md": lambda: coverage(WRITTEN),
    "docs/reference/configuration.md": configuration,
    "docs/reference/json-rpc.md": json_rpc,
    "docs/reference/metrics.md": metrics,
    "docs/schema/policy.schema.json": policy_schema,
}


def main() -> None:
    for name, text in GENERATED.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
