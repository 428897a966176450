"""`pointsman demo`: three work items all the way, with a human decision and a killed process, then every check."""

import asyncio
import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import Client

from pointsman.contracts.base import Json
from pointsman.contracts.records import DeliveryState, ItemRow
from starter import loading
from starter.demo import inside, report
from starter.demo.checks import Check, Evidence, all_checks
from starter.demo.inside import Inside, Told
from starter.demo.outside import PATIENCE_SECONDS, Outside, until
from starter.demo.processes import DemoFailed, Stage, surroundings
from starter.program import ourselves, typed

ASK_SECONDS = 3_600.0  # how long `--decide ask` waits for the person
BUG = (
    "Bug",
    "Checkout answers 500 when a gift card pays for everything",
    "Pay for a basket with a gift card only. Expected: confirmation. Seen: HTTP 500 from TaxCalculator.",
)
CLOSING = (
    "User Story",
    "Payment page shows how long the provider takes",
    "The page says after five seconds that the payment is still being processed. Done and released.",
)
STORY = (
    "User Story",
    "Search finds words with accents from every keyboard",
    "As a customer without accents on my keyboard I want to find cafe when the product says otherwise.",
)


@dataclass(frozen=True)
class DemoOptions:
    keep: bool = False
    as_json: bool = False
    live: bool = False
    provider: str = "openai"
    """Whose models answer: the one line of policy that the demo changes."""
    decide: str = "auto"
    """auto: by a plain Temporal signal; ask: wait for the person."""


def run_demo(options: DemoOptions) -> int:
    """Run it; returns 0 only if every check held. Stops all that it started; what is to be kept, at SIGINT or SIGTERM.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came before its end, and all that was started is stopped.
    """
    folder = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    try:
        loading.end()
        return asyncio.run(
            _stoppable(_Demo(options, Stage(folder, live=options.live, provider=options.provider)).run())
        )
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _stoppable(demo: Coroutine[None, None, int]) -> int:
    """Let the first Ctrl-C or SIGTERM end it. Others change nothing, or they would leave processes behind."""
    task = asyncio.create_task(demo)
    loop = asyncio.get_running_loop()
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    return await task


class _Demo:
    def __init__(self, options: DemoOptions, stage: Stage) -> None:
        self._options = options
        self._stage = stage
        self._started = time.monotonic()
        self._checks: list[Check] = []
        self._told: Sequence[Told] = ()

    def say(self, line: str) -> None:
        """One line for each step, on stderr where stdout carries the document."""
        out = sys.stderr if self._options.as_json else sys.stdout
        print(f"{time.monotonic() - self._started:6.1f} s  {line}", file=out, flush=True)

    async def run(self) -> int:
        try:
            ok = await self._judged()
        except asyncio.CancelledError:
            self.say(f"interrupted; all that was started is stopped, logs and state are kept in {self._stage.folder}")
            raise
        if ok:
            shutil.rmtree(self._stage.folder, ignore_errors=True)
        else:
            self.say(f"logs and state are kept in {self._stage.folder}")
        return 0 if ok else 1

    async def _judged(self) -> bool:
        """Play, tell, and stop all that was started: at once, or when people have seen what they wanted to see."""
        failure = ""
        try:
            try:
                await self._play()
            except DemoFailed as error:
                failure = str(error)
            except Exception as error:  # whatever breaks: people get the checks, and are told where the logs are
                failure = f"{type(error).__name__}: {error}"
            if self._options.keep and not failure:
                ok = self._tell()
                for line in report.kept(self._stage):
                    self.say(line)
                with suppress(asyncio.CancelledError):  # that is how it ends
                    await asyncio.Event().wait()
                self.say("stopping all of it")
                return ok
        finally:
            await self._stage.stop()
        if failure:
            self._checks.append(Check("the demo ran to its end", False, failure))
        return self._tell()

    def _tell(self) -> bool:
        """Show items and checks; returns whether all held."""
        ok = all(check.ok for check in self._checks) and bool(self._checks)
        seconds = round(time.monotonic() - self._started, 1)
        links = report.Links(self._stage)
        if self._options.as_json:
            document: dict[str, Json] = {
                "schema_version": 1,
                "ok": ok,
                "seconds": seconds,
                "items": [report.item_json(told, links) for told in self._told],
                "checks": [asdict(check) for check in self._checks],
            }
            print(json.dumps(document, indent=1, ensure_ascii=False), flush=True)
        else:
            report.show(self._told, self._checks, links, ok=ok, seconds=seconds)
        return ok

    async def _play(self) -> None:
        stage = self._stage
        self.say(f"starting Temporal, the stand-ins and Pointsman; logs in {stage.folder}")
        self.say(f"policy: models.prefer: [{stage.provider}]")
        await stage.start(self.say)
        self.say(
            f"ready: Temporal UI {stage.ui_url}  Pointsman {stage.web_url}  Azure DevOps stand-in {stage.azure_url}"
        )
        async with AsyncExitStack() as stack:
            outside = await stack.enter_async_context(Outside(stage))
            books = await stack.enter_async_context(inside.opened(stage))
            client = await stage.server.connect()
            subscriptions = await outside.subscribe()
            self.say(f"1  subscribed {len(subscriptions)} service hooks through the REST API, Basic authentication")
            bug, closing, story, hold = await self._file(outside)
            await self._see_bug(books, bug)
            await self._decide(books, closing)
            await self._kill(outside, books, story, hold)
            await self._see_closing(books, closing)
            rows = [await self._ended(books, item) for item in (bug, closing, story)]
            await self._settle(outside, books, [row.key.id for row in rows])
            evidence = await self._evidence(outside, books, client, rows, story, bool(hold))
            self._told = evidence.items
            self._checks = all_checks(evidence)

    async def _file(self, outside: Outside) -> tuple[int, int, int, str]:
        """Create the items, with deliveries repeated, and one update delivered before the creation it follows."""
        await outside.deliveries(repeat=1, paused=True)
        bug = await outside.file(*BUG)
        closing = await outside.file(*CLOSING, tags=("ready-to-close",))
        story = await outside.file(*STORY)
        await outside.deliveries(hold=[{"event_type": "workitem.created", "item_id": story}])
        await outside.edit(story, "System.Description", f"<p>{STORY[2]} Accents must not matter.</p>")
        # By what is said in it: not every provider's format has a place for whose request it is.
        hold = "" if self._stage.live else await outside.hold_request(STORY[1], skip=1)
        await outside.deliveries(paused=False)
        self.say(f"2  created items {bug}, {closing}, {story}; each delivery comes twice, {story}'s update first")
        return bug, closing, story, hold

    async def _ended(self, books: Inside, item: int, seconds: float = PATIENCE_SECONDS) -> ItemRow:
        try:
            return await until(f"the end of item {item}", lambda: books.ended(item), seconds)
        except DemoFailed as error:
            row = await books.row(item)
            stands = f"it is {row.state}: {row.reason}" if row else "it never came in"
            raise DemoFailed(f"{error}; {stands}") from None

    async def _see_bug(self, books: Inside, bug: int) -> None:
        row = await self._ended(books, bug)
        self.say(f"3  item {bug} {row.state}: agent {row.agent}, {row.reason}  {self._link(row)}")

    async def _decide(self, books: Inside, item: int) -> None:
        question = await until(f"the question about item {item}", lambda: books.question(item))
        document = {"verb": "approve", "by": "ada", "subject": question.escalation.subject[:12]}
        self.say(f"4  item {item} waits: {question.id} {question.escalation.summary}")
        self.say(f"   decide in Temporal's UI: {report.Links(self._stage).workflow(question.workflow_id)}")
        command = self._signal_command(question.workflow_id, json.dumps(document))
        settings = f"POINTSMAN_DATA_DIR={self._stage.folder / 'data'} POINTSMAN_TEMPORAL_ADDRESS={command[4]}"
        self.say(f"   or: {settings} {ourselves()} escalations approve {question.id}")
        self.say(f"   or: {typed(self._stage.server.binary)} {shlex.join(command[1:])}")
        if self._options.decide == "auto":
            await _execute(command)
            self.say("   decided by the second command, a plain Temporal signal")

    def _signal_command(self, workflow_id: str, document: str) -> list[str]:
        temporal = self._stage.server
        where = ["--address", temporal.address, "--workflow-id", workflow_id, "--name", "decide", "--input", document]
        return [str(temporal.binary), "workflow", "signal", *where]

    async def _kill(self, outside: Outside, books: Inside, story: int, hold: str) -> None:
        if not hold:
            self.say("5  a real provider cannot be told to wait, so the process is not killed")
            return
        await until(f"the second model request of item {story}", lambda: outside.held(hold))
        pid = self._stage.pointsman.pid
        self._stage.pointsman.kill()
        self.say(f"5  item {story}: its second model request is under way; Pointsman (process {pid}) is killed")
        await outside.release(hold)
        await self._stage.start_pointsman()
        self.say(f"   started again (process {self._stage.pointsman.pid}); the item goes on where it was")
        row = await self._ended(books, story)
        self.say(f"   item {story} {row.state}: {row.reason}  {self._link(row)}")

    async def _see_closing(self, books: Inside, item: int) -> None:
        patience = ASK_SECONDS if self._options.decide == "ask" else PATIENCE_SECONDS
        row = await self._ended(books, item, patience)
        self.say(f"   item {item} {row.state}: {row.reason}  {self._link(row)}")

    async def _settle(self, outside: Outside, books: Inside, items: Sequence[int]) -> None:
        """Wait until every delivery is out, judged, and under a checkpoint."""

        async def settled() -> bool | None:
            theirs = await outside.deliveries()
            rows = await books.deliveries()
            waiting = any(row.state is DeliveryState.PENDING for row in rows)
            echoed = {row.item_id for row in rows if row.state is DeliveryState.ECHO}
            audit = await books.verify(self._stage.folder / "data" / "keys")
            return True if not (theirs["pending"] or waiting or audit.pending) and echoed >= set(items) else None

        await until("the echoes of our own writes", settled)
        self.say(
            f"6  all deliveries are settled, with the echoes of our own writes to items {', '.join(map(str, items))}"
        )

    async def _evidence(
        self, outside: Outside, books: Inside, client: Client, rows: Sequence[ItemRow], swapped: int, killed: bool
    ) -> Evidence:
        told = [await books.told(row) for row in rows]
        deliveries = await outside.deliveries()
        counters = await outside.counters()
        return Evidence(
            bug=told[0],
            closing=told[1],
            story=told[2],
            inbox=await books.deliveries(),
            delivered=_objects(deliveries["attempts"]),
            writes=_objects(counters["writes"]),
            requests=[] if self._stage.live else await outside.model_requests(),
            comments={row.key.id: await self._comments(outside, row) for row in rows},
            runs={row.key.id: await _runs(client, row.workflow_id) for row in rows},
            swapped=swapped,
            killed=swapped if killed else 0,
            audit=await books.verify(self._stage.folder / "data" / "keys"),
        )

    async def _comments(self, outside: Outside, row: ItemRow) -> list[str]:
        comments = await outside.person.work_items.comments(row.key.project, row.key.id)
        return [comment.text for comment in comments]

    def _link(self, row: ItemRow) -> str:
        return report.Links(self._stage).workflow(row.workflow_id)


async def _runs(client: Client, workflow_id: str) -> int:
    """How many runs the item's workflow had."""
    return (await client.count_workflows(f"WorkflowId = '{workflow_id}'")).count


async def _execute(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=surroundings()
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise DemoFailed(
            f"{' '.join(command)} ended with {process.returncode}: {output.decode(errors='replace')[-400:]}"
        )


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
