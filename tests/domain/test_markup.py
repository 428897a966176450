"""What people see of HTML, however broken it is; text that is no HTML keeps its angle brackets."""

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain.markup import flat, plain


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("<div>a<div>b</div></div>c", "a\nb\n\nc"),
        ("a<br/>b<BR />c<br>d", "a\nb\nc\nd"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<p>one <b>bo</b>ld&nbsp;word</p>", "one bold word"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("x<!-- hidden > here -->y", "xy"),
        ("<style>p > a {color: red}</style>x<script>if (1 < 2) {}</script>", "x"),
        ("<p>never closed<p>again", "never closed\nagain"),
        ("<div class='a' onclick=\"x()\">a</div>", "a"),
        ("<P\nclass=x>a</P >", "a"),
        ("a\r\n\r\n\r\n\r\nb   c\t", "a\n\nb c"),
        ("<", "<"),
        ("</", "</"),
        ("a<", "a<"),
        ("<p", "<p"),
        ("<!-- open", "<!-- open"),
        ("&#0; &#xD800; &nosuch;", "\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER} &nosuch;"),
        ("", ""),
    ],
)
def test_html_reads_as_people_see_it(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize("text", ["if a < b and c > d", "List<int> or Map<K, V>", "<stdio.h>", "a <= b => c", "1<2>1"])
def test_angle_brackets_that_are_no_markup_stay(text: str) -> None:
    assert plain(text) == text
    assert flat(text) == text


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<br>", "<b>", "</", "<!--", "-->", "<script>", "x", " ", "\n", "&lt;"]))
)
def test_broken_html_never_raises_and_leaves_no_line_breaks_in_flat_text(parts: list[str]) -> None:
    html = "".join(parts)
    assert flat(html).split() == plain(html).split() or "<" in html
    assert "\n" not in flat(html)
    assert "\n\n\n" not in plain(html)


@given(st.text("abc def", max_size=30))
def test_text_without_markup_keeps_its_words(text: str) -> None:
    assert plain(text).split() == flat(text).split() == text.split()


def processor_seconds(html: str) -> float:
    began = thread_time()
    assert len(plain(html)) <= len(html)
    assert len(flat(html)) <= len(html)
    return thread_time() - began


@pytest.mark.parametrize("piece", ["<", "<!--", "<br", "<p ", "<a href='", "<script>", "</p", "< ", "<style>x</"])
def test_broken_html_is_read_in_time_that_grows_as_its_length(piece: str) -> None:
    short, long = piece * (1_000 // len(piece)), piece * (20_000 // len(piece))
    # It takes 20 times as long. With a pattern that looks ahead to the end of the text, 200 to 400 times.
    assert any(processor_seconds(long) < 80 * processor_seconds(short) for _ in range(5))
