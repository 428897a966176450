"""Checkpoints and notes are read in their one valid form only, as C2SP tlog-checkpoint and signed-note ask."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain.checkpoints import Checkpoint, NoteError, VerifierKey, note, parse, parse_key, signature_of

KEY = VerifierKey("pointsman/test", bytes(range(32)))
CHECKPOINT = Checkpoint("pointsman/test", 42, bytes(32))


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back_as_it_was_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("origin", size, root)
    assert parse(checkpoint.text()) == checkpoint


def test_the_key_of_the_published_example_is_read() -> None:
    # From the documentation of Go's package for signed notes.
    line = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = parse_key(line)
    assert (key.name, key.id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", line)


def test_a_signature_is_found_among_those_of_others() -> None:
    signed = note(CHECKPOINT.text(), KEY, b"s" * 64)
    other = note("", VerifierKey("witness", bytes(32)), b"w" * 64).removeprefix("\n")
    assert signature_of(signed + other, KEY) == (CHECKPOINT.text(), b"s" * 64)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("\N{EM DASH}", "-"),
        lambda text: text.replace("\N{EM DASH} pointsman", "\N{EM DASH} other"),
        lambda text: text + text.split("\n\n")[1],
        lambda text: text.replace("\N{EM DASH} pointsman/test ", "\N{EM DASH} pointsman/test !"),
    ],
)
def test_what_is_not_a_note_by_the_key_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(NoteError):
        signature_of(str(damage(note(CHECKPOINT.text(), KEY, b"s" * 64))), KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        "\n1\n" + b64encode(bytes(32)).decode() + "\n",
        "origin\n01\n" + b64encode(bytes(32)).decode() + "\n",
        "origin\n-1\n" + b64encode(bytes(32)).decode() + "\n",
        "origin\n١\n" + b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + b64encode(bytes(31)).decode() + "\n",
        "origin\n1\n" + b64encode(bytes(32)).decode() + "\nextension\n",
        "origin\n1\n" + b64encode(bytes(32)).decode()[:-2] + "B=\n",
        "origin\n1\nnot base64\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse(text)


@pytest.mark.parametrize("line", ["", "name", "name+00000000+AAAA", str(KEY)[:-4], str(KEY).replace("+", "+0", 1)])
def test_what_is_not_a_key_is_refused(line: str) -> None:
    with pytest.raises(NoteError):
        parse_key(line)
