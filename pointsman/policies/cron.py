"""When something is done, as cron has it: refused where Temporal would refuse it, as long as nothing has started."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, least, most, and the names of its values from the least on. Sunday is both 0 and 7.
FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)


def checked_cron(text: str) -> str:
    """The text, if it is empty or five fields of numbers, names, `*`, ranges, lists and steps.

    Raises:
        ValueError: it is none; the message names the field and what it may be.
    """
    given = text.split(" ")
    if text and len(given) != len(FIELDS):
        raise ValueError("five fields as cron has them, for example 0 3 * * 1-5")
    for value, (name, least, most, names) in zip(given if text else (), FIELDS, strict=False):
        if not all(_fits(part, least, most, names) for part in value.split(",")):
            words = f" or {names[0]} to {names[-1]}" if names else ""
            raise ValueError(f"five fields as cron has them: the {name} is {least} to {most}{words}, and not {value!r}")
    return text


def _fits(part: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (_is_number(step) and int(step)):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    ends = [_number(one, least, names) for one in ((first, last) if dash else (first,))]
    return all(least <= one <= most for one in ends) and ends[0] <= ends[-1]


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    """-1 for what is none."""
    if _is_number(text):
        return int(text)
    return names.index(text.lower()) + least if text.lower() in names else -1


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
