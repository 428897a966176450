"""Server-sent events out of the bytes of a stream (WHATWG HTML, "Server-sent events").

The SDKs' own readers take a comment, such as a proxy sends to keep the line open, for broken JSON (google-genai), or
hide the mark that ends a stream (openai, mistralai).
"""

from collections.abc import Iterator

_PASSED_OVER = (b":", b"event:", b"id:", b"retry:")
STRAY_BYTES_MAX = 64 * 1024


class EventReader:
    """Fed with pieces of the stream as they come; a line of any length costs its length only."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._stray = bytearray()

    @property
    def stray(self) -> bytes:
        """Lines that belong to no event: Google's front ends, and gateways, report errors as bare JSON."""
        return bytes(self._stray)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that the piece completes."""
        self._pieces.append(piece)
        if b"\n" not in piece and b"\r" not in piece:
            return
        held = b"".join(self._pieces)
        # A line end in two bytes may come in two pieces.
        whole = held[:-1] if held.endswith(b"\r") else held
        end = max(whole.rfind(b"\n"), whole.rfind(b"\r")) + 1
        self._pieces = [held[end:]]
        for line in whole[:end].splitlines():
            yield from self._take(line)

    def finish(self) -> None:
        """No more bytes come. An event that is not complete is none, as the standard has it."""
        rest = b"".join(self._pieces)
        if rest and not rest.startswith(b"data:"):
            self._keep(rest)

    def _take(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            yield b"\n".join(self._data)
            self._data = []
        elif line and not line.startswith(_PASSED_OVER):
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        if len(self._stray) + len(line) < STRAY_BYTES_MAX:
            self._stray += line + b"\n"
