"""What long texts and comments are written in: HTML, or Markdown, from which there is no way back."""

from collections.abc import Mapping
from html import escape

from pointsman.sandbox.azure_devops.documents import HTML, MARKDOWN, Document
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError


def formats_after(before: Mapping[str, str], document: Document) -> dict[str, str]:
    """Formats by field. A format goes with a text in the same document, and never back to HTML.

    That both are refused is known; the words of the refusals are not confirmed.
    """
    after = dict(before)
    edited = {change.name for change in document.fields}
    for change in document.formats:
        if change.format == before.get(change.name, HTML):
            continue
        if change.format == HTML:
            raise _refused(f"The format of field {change.name} cannot go back from Markdown to HTML.")
        if change.name not in edited:
            raise _refused(f"The format of field {change.name} can only change together with its text.")
        after[change.name] = MARKDOWN
    return after


def comment_format(before: str, after: str, text: str, new_text: str) -> str:
    """The format of a comment's next version. Raises `ServiceError` where only the format changes, or goes back."""
    if after == before:
        return after
    if after == HTML:
        raise _refused("The format of a comment cannot go back from Markdown to HTML.")
    if text == new_text:
        raise _refused("The format of a comment can only change together with its text.")
    return after


def rendered(text: str, written: str) -> str:
    """A comment as HTML. Of Markdown only its paragraphs are shown as such; the service knows all of it."""
    if written == HTML:
        return text
    return "".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def _refused(message: str) -> ServiceError:
    return ServiceError(400, message, "WorkItemMultilineFieldFormatException")
