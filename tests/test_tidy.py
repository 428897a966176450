"""What STYLE asks for and a program can count holds for every file, and each rule catches what is planted."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.gates import sources, tidiness
from tests.gates.sources import Source

TEXT_SUFFIXES = {"", ".cfg", ".css", ".html", ".js", ".json", ".md", ".sh", ".toml", ".yaml", ".yml"}


@cache
def texts() -> list[Source]:
    """What is no Python, for the rules that look at words only. The lock is a tool's and the licence not ours."""
    empty = ast.parse("")
    listed = ["git", "-C", str(sources.ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    kept = [
        path
        for path in (sources.ROOT / name for name in names if name)
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not {"LICENSE", "vendor"} & set(path.parts)
    ]
    return [Source(path.relative_to(sources.ROOT), path.read_text(errors="replace"), empty) for path in kept]


def sample(text: str) -> Source:
    return Source(Path("sample.py"), text, ast.parse(text))


@pytest.mark.parametrize("rule", tidiness.RULES)
def test_rule_holds_everywhere(rule: str) -> None:
    assert [line for source in sources.everything() for line in tidiness.RULES[rule](source)] == []


@pytest.mark.parametrize("rule", ["nothing is marked as unfinished", "no registry is named", "no path of one machine"])
def test_rule_about_words_holds_for_other_texts_too(rule: str) -> None:
    assert [line for source in texts() for line in tidiness.RULES[rule](source)] == []


def test_median_function_of_the_product_is_short() -> None:
    assert tidiness.median_function(sources.product()) < tidiness.FUNCTION_LINES_MEDIAN_MAX


PLANTED = {
    "functions fit on a screen": "def long() -> None:\n" + "    print()\n" * 60,
    "modules stay short": "x = 1\n" * 401,
    "nothing is marked as unfinished": "x = 1  # TO" + "DO: more\n",
    "no registry is named": "x = 'https://py" + "pi.org/simple'\n",
    "no path of one machine": "x = '/ho" + "me/ada/project'\n",
    "suppressions give their reason": "x = eval('1')  # no" + "qa: S307\n",
}


@pytest.mark.parametrize("rule", tidiness.RULES)
def test_planted_fault_is_caught_by_its_rule_alone(rule: str) -> None:
    caught = [name for name, check in tidiness.RULES.items() if check(sample(PLANTED[rule]))]
    assert caught == [rule]


@pytest.mark.parametrize(
    "text",
    [
        'def long() -> None:\n    """' + "word\n" * 70 + '    """\n',
        "x = 1\n" * 400,
        "x = '/usr/bin/env', 'a/home/b', 'https://host.invalid/home/x'\n",
        "x = eval('1')  # no" + "qa: S307 - the text is ours\n",
        "x: int = f()  # type: " + "ignore[no-any-return]  # the library is untyped\n",
        "methodology = 'todo list'\n",
    ],
)
def test_what_is_fine_is_let_through(text: str) -> None:
    assert [line for check in tidiness.RULES.values() for line in check(sample(text))] == []


@pytest.mark.parametrize("comment", ["no" + "qa", "no" + "qa: S307", "type: " + "ignore", "type: " + "ignore[misc]"])
def test_suppression_without_code_or_reason_is_caught(comment: str) -> None:
    assert len(tidiness.bare_suppressions(sample(f"x = 1  # {comment}\n"))) == 1


def test_docstring_does_not_count_as_length() -> None:
    text = 'def f() -> int:\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert list(tidiness.function_lines(sample(text))) == [("f", 1, 2)]
