"""`pointsman llm`: the governed model service from a shell."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, WhoAsks, Yes, command, group, me

app = group("llm", "Ask models: one answer, as it comes, several side by side; see which there are.")


class Tier(StrEnum):
    FAST = "fast"
    BALANCED = "balanced"
    PREMIUM = "premium"


class Complexity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Effort(StrEnum):
    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Need(StrEnum):
    TOOLS = "tools"
    IMAGES = "images"
    DOCUMENTS = "documents"


Prompt = Annotated[
    str | None, typer.Argument(metavar="PROMPT", help="What to say; - or nothing reads stdin.", show_default=False)
]
ModelName = Annotated[str, typer.Option("--model", "-m", help="The model, by its name.", show_default=False)]
TierName = Annotated[Tier | None, typer.Option("--tier", help="What the task needs.", show_default=False)]
HowHard = Annotated[Complexity | None, typer.Option("--complexity", help="How hard the task is.", show_default=False)]
Prefer = Annotated[
    list[str] | None,
    typer.Option("--prefer", metavar="PROVIDER", help="Ask this provider first; `price`: the cheapest. Repeat it."),
]
System = Annotated[str, typer.Option("--system", help="Instructions.", show_default=False)]
Temperature = Annotated[float | None, typer.Option("--temperature", min=0, max=2, help="Dropped where not taken.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Of the answer, reasoning included.")]
EffortName = Annotated[Effort | None, typer.Option("--effort", help="Effort of reasoning.", show_default=False)]
Schema = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", dir_okay=False, help="JSON Schema of the answer.")
]
Images = Annotated[
    list[Path] | None,
    typer.Option("--image", metavar="FILE", dir_okay=False, help="PNG, JPEG, GIF or WebP. Repeat it."),
]
Documents = Annotated[
    list[Path] | None, typer.Option("--document", metavar="FILE", dir_okay=False, help="PDF. Repeat it.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="Whose keys and budgets; none is the operator's.")]
User = Annotated[str, typer.Option("--user", help="Of that tenant.")]
Budget = Annotated[str, typer.Option("--budget", help="A budget of that tenant, charged as well.")]
Through = Annotated[
    str,
    typer.Option("--through", metavar="URL", help="Have the service there ask, by a token of POINTSMAN_RPC_TOKENS."),
]
Provider = Annotated[str, typer.Option("--provider", help="Only of this provider.", show_default=False)]


@command(
    app,
    "complete",
    'pointsman llm complete "Hello"',
    "git diff | pointsman llm complete --tier premium --system 'Review this change.'",
    "pointsman llm complete 'What is on it?' --image plan.png --schema answer.json --json",
    "pointsman llm complete Hello --through http://127.0.0.1:8080",
)
def complete(
    call: Call,
    prompt: Prompt = None,
    model: ModelName = "",
    tier: TierName = None,
    complexity: HowHard = None,
    prefer: Prefer = None,
    system: System = "",
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    effort: EffortName = None,
    schema: Schema = None,
    image: Images = None,
    document: Documents = None,
    tenant: Tenant = "",
    user: User = "",
    budget: Budget = "",
    through: Through = "",
) -> None:
    """Print a model's answer.

    Model, tokens, cost and time follow on stderr. Ctrl-C cancels the call at the provider. Repeats what can be
    repeated, with pauses.
    """
    from starter.cli import llm
    from starter.cli.settings import settings_of

    asked = llm.Asked(
        prompt, model, tier or "", complexity or "", prefer or (), system, temperature, max_tokens,
        effort or "", schema, image or (), document or (), tenant, user, budget, through,
    )  # fmt: skip
    call.run(llm.complete(call, settings_of(call), asked))


@command(
    app,
    "stream",
    'pointsman llm stream "Tell me a story" --tier fast',
    "pointsman llm stream --show-reasoning --effort high < question.txt",
)
def stream(
    call: Call,
    prompt: Prompt = None,
    model: ModelName = "",
    tier: TierName = None,
    complexity: HowHard = None,
    prefer: Prefer = None,
    system: System = "",
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    effort: EffortName = None,
    schema: Schema = None,
    image: Images = None,
    document: Documents = None,
    tenant: Tenant = "",
    user: User = "",
    budget: Budget = "",
    through: Through = "",
    show_reasoning: Annotated[
        bool, typer.Option("--show-reasoning", help="What the model lets see of it, on stderr.")
    ] = False,
) -> None:
    """Print a model's answer as it comes.

    With --json one event a line. Model, tokens, cost and time follow on stderr. Ctrl-C cancels the call at the
    provider.
    """
    from starter.cli import llm
    from starter.cli.settings import settings_of

    asked = llm.Asked(
        prompt, model, tier or "", complexity or "", prefer or (), system, temperature, max_tokens,
        effort or "", schema, image or (), document or (), tenant, user, budget, through,
    )  # fmt: skip
    call.run(llm.stream(call, settings_of(call), asked, reasoning=show_reasoning))


@command(
    app,
    "compare",
    'pointsman llm compare "Why is the sky blue?" --tier fast',
    "pointsman llm compare --model gpt-6-luna --model claude-haiku-5-5 < prompt.txt",
)
def compare(
    call: Call,
    prompt: Prompt = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A model to ask. Repeat it. None: the tier's, where a key is there."),
    ] = None,
    tier: Annotated[Tier, typer.Option("--tier", help="Whose models, where none is named.")] = Tier.BALANCED,
    system: System = "",
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    effort: EffortName = None,
    schema: Schema = None,
    image: Images = None,
    document: Documents = None,
    tenant: Tenant = "",
    user: User = "",
    budget: Budget = "",
    through: Through = "",
) -> int:
    """Ask several models the same at once, and show answers, time, tokens and cost side by side.

    A model that fails is a row with its error. Exit 1 when none answered.

    In a pipe: model, seconds, seconds to the first token, tokens in, tokens out, cost in USD, answer.
    """
    from starter.cli import llm
    from starter.cli.settings import settings_of

    asked = llm.Asked(
        prompt, "", tier, system=system, temperature=temperature, max_tokens=max_tokens, effort=effort or "",
        schema=schema, images=image or (), documents=document or (), tenant=tenant, user=user,
        budget=budget, through=through,
    )  # fmt: skip
    return call.run(llm.compare(call, settings_of(call), asked, model or ()))


@command(app, "models", "pointsman llm models", "pointsman llm models --provider openai --all --json")
def list_models(
    call: Call,
    provider: Provider = "",
    every: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
) -> None:
    """List the models that are known: what they can do, what they cost, how long they live.

    Prices are USD of a million tokens of a short prompt, and of its answer.

    In a pipe: model, provider, tier, window, longest answer, abilities, price in, price out, lifecycle, allowed, key.
    """
    from starter.cli import models
    from starter.cli.settings import settings_of

    call.show(call.run(models.listed(call, settings_of(call), provider, every=every)))


@command(
    app,
    "select",
    "pointsman llm select --tier fast --prefer price",
    'pointsman llm select "Prove it." --effort high --need tools --need images',
)
def select(
    call: Call,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What would be said; - reads stdin.", show_default=False)
    ] = None,
    model: ModelName = "",
    tier: TierName = None,
    complexity: HowHard = None,
    prefer: Prefer = None,
    max_tokens: MaxTokens = None,
    effort: EffortName = None,
    schema: Schema = None,
    tenant: Tenant = "",
    user: User = "",
    need: Annotated[list[Need] | None, typer.Option("--need", help="What the model must take. Repeat it.")] = None,
) -> None:
    """Say which model would be asked, which ones after it, and why. Nothing is sent."""
    from starter.cli import llm, models
    from starter.cli.settings import settings_of

    asked = llm.Asked(
        prompt, model, tier or "", complexity or "", prefer or (), max_tokens=max_tokens, effort=effort or "",
        schema=schema, tenant=tenant, user=user,
    )  # fmt: skip
    call.show(call.run(models.selected(call, settings_of(call), asked, need or ())))


@command(
    app, "forget", "pointsman llm forget --tenant acme --dry-run", "pointsman llm forget --tenant acme --by ada --yes"
)
def forget(
    call: Call,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose; '' for calls of no tenant.", show_default=False)],
    by: WhoAsks = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete the answers that the cache keeps for a tenant. It is audited.

    What they cost stays in the ledger. Answers are kept only where LLM_RESPONSE_CACHE_SECONDS is set.
    """
    from pointsman.domain.words import how_many
    from starter.cli import answers
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    told = how_many(call.run(answers.kept(settings, tenant)), "answer")
    if dry_run:
        call.out.say(f"would forget {told} to tenant {tenant!r}; nothing was done")
        return
    call.confirm(f"Forget {told} to tenant {tenant!r}?", yes)
    call.show(call.run(answers.forget(settings, tenant, by or me())))
