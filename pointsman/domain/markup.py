"""HTML as the service keeps it in text fields, and the text that people see of it.

Only elements that HTML knows count as markup: what else stands in angle brackets, such as `List<int>`, is text.
Every pattern stops at the next `<`, so that a megabyte of broken HTML takes linear time.
"""

import re
from html import unescape

LINES = "address|article|aside|blockquote|center|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|li|main|nav|ol"
LINES += "|p|pre|section|table|tr|ul"
CELLS = "caption|col|colgroup|tbody|td|tfoot|th|thead"
INLINE = "a|abbr|audio|b|big|body|cite|code|del|details|em|font|head|html|i|img|input|ins|kbd|label|link|mark|meta|q|s"
INLINE += "|samp|script|small|source|span|strike|strong|style|sub|summary|sup|title|tt|u|var|video"
COMMENT = re.compile(r"<!--(?:(?!-->|<!--).)*-->", re.DOTALL)
# Their content is not for readers; mail programs paste whole style sheets.
UNSEEN = re.compile(r"<(script|style)\b[^<>]*>[^<]*(?:<(?!/?(?:script|style)\b)[^<]*)*</\1\s*>", re.IGNORECASE)
LINE_END = re.compile(rf"<(?:[bh]r(?:\s[^<>]*)?/?|/(?:{LINES})\s*)>", re.IGNORECASE)
LINE_START = re.compile(rf"<(?:{LINES})(?:\s[^<>]*)?/?>", re.IGNORECASE)
CELL = re.compile(rf"</?(?:{CELLS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
IN_LINE = re.compile(rf"</?(?:{INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
START = "\x1e"  # stands for a place where a line starts, unless one does already


def plain(html: str) -> str:
    """The text of an HTML field, with its line breaks; other text comes back as it is, but for its spacing."""
    text = IN_LINE.sub("", CELL.sub(" ", LINE_START.sub(START, LINE_END.sub("\n", _seen(html)))))
    lines = [part for line in unescape(text).split("\n") for part in _parts(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _parts(line: str) -> list[str]:
    parts = [" ".join(part.split()) for part in line.split(START)]
    return [part for part in parts if part] or [""]


def flat(html: str) -> str:
    """The text of an HTML field in one line: equal for two notations of what looks the same."""
    text = IN_LINE.sub("", CELL.sub(" ", LINE_START.sub(" ", LINE_END.sub(" ", _seen(html)))))
    return " ".join(unescape(text).split())


def _seen(html: str) -> str:
    return UNSEEN.sub("", COMMENT.sub("", html))
