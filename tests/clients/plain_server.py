"""An MCP server over stdio, of the protocol before 2026 (initialize, sessions), by hand: it starts at once.

It learns tools while it runs and says so, pages its list, and breaks off as told.
"""

import json
import os
import sys
import time
from pathlib import Path

ANY = {"type": "object"}
tools = ["pid", "die", "learn", "variables", "sleep", "stops", "nonsense", "own_fault", "half", "bytes"]
stops = 0


def say(**message: object) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(message: dict[str, object], result: object) -> None:
    say(id=message["id"], result=result)


def text(value: object) -> dict[str, object]:
    return {"content": [{"type": "text", "text": json.dumps(value)}]}


def listed(cursor: str) -> dict[str, object]:
    """Two tools a page."""
    start = int(cursor or 0)
    page: dict[str, object] = {"tools": [{"name": name, "inputSchema": ANY} for name in tools[start : start + 2]]}
    return {**page, "nextCursor": str(start + 2)} if start + 2 < len(tools) else page


def call(message: dict[str, object], name: str, arguments: dict[str, str]) -> None:
    match name:
        case "pid":
            answer(message, text(os.getpid()))
        case "die":
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        case "learn":
            tools.append(arguments["tool"])
            say(method="notifications/tools/list_changed")
            answer(message, text("learned"))
        case "variables":
            answer(message, text([name for name in sorted(os.environ) if name.isupper()]))
        case "sleep":
            pass  # it never answers; whoever gives up says so
        case "stops":
            answer(message, text(stops))
        case "nonsense":
            answer(message, {"content": "this is no list"})
        case "half":  # an emoji cut in two, as `slice` does in JavaScript, and a NUL
            answer(message, {"content": [{"type": "text", "text": f"train {chr(0xD83D)} at{chr(0)} noon"}]})
        case "bytes":
            answer_bytes = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": text("train \N{BULLET}")})
            sys.stdout.buffer.write(answer_bytes.replace("\\\\u2022", "\xff").encode("latin-1") + b"\n")
            sys.stdout.buffer.flush()
        case "own_fault":
            say(id=message["id"], error={"code": -32000, "message": "the server's own trouble"})
        case _:
            answer(message, text(name))


def serve() -> None:
    global stops
    for line in sys.stdin:
        message = json.loads(line)
        params = message.get("params") or {}
        match message.get("method"):
            case "initialize":
                capabilities = {"tools": {"listChanged": True}}
                about = {"name": "plain", "version": "1"}
                version = params["protocolVersion"]
                answer(message, {"protocolVersion": version, "capabilities": capabilities, "serverInfo": about})
            case "tools/list":
                answer(message, listed(params.get("cursor") or ""))
            case "tools/call":
                call(message, params["name"], params.get("arguments") or {})
            case "notifications/cancelled":
                stops += 1
            case _ if "id" in message:
                say(id=message["id"], error={"code": -32601, "message": "Method not found"})


if __name__ == "__main__":
    if "FAIL_AT_START" in os.environ:
        sys.exit(f"cannot start: {os.environ['FAIL_AT_START']}")
    if "SILENT" in os.environ:
        Path(os.environ["SILENT"]).write_text(str(os.getpid()))
        time.sleep(600)
    serve()
