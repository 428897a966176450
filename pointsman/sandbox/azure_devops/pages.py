"""The pages of items that people follow links to: title, state, fields and comments, to be read and no more.

Without credentials, as the control API: it listens on loopback. Texts are shown without their markup.
"""

import re
from html import escape, unescape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from pointsman.sandbox.azure_devops.behind import Behind
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.process import FIELDS, Shape
from pointsman.sandbox.azure_devops.revisions import Value
from pointsman.sandbox.azure_devops.state import Comment, Item, World

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.4rem}table{border-collapse:collapse}th{text-align:left;font-weight:600;padding:.1rem 1rem .1rem 0;"
    "vertical-align:top}article{border-top:1px solid #ccc;padding:.5rem 0}pre{white-space:pre-wrap;font:inherit;"
    "margin:0}small{color:#555}"
)
SHOWN = (
    "System.WorkItemType",
    "System.State",
    "System.Reason",
    "System.AssignedTo",
    "System.AreaPath",
    "System.IterationPath",
    "System.Tags",
    "System.ChangedBy",
    "System.ChangedDate",
)
_TAG, _BREAK = re.compile(r"<[^>]*>"), re.compile(r"<\s*(?:br|/p|/li|/div|/h\d)[^>]*>", re.IGNORECASE)


router = APIRouter()
"""Both addresses that the service has for an item."""


@router.get("/{organisation}/web/wi.aspx", response_class=HTMLResponse)
def by_query(sandbox: Behind, organisation: str, id: int) -> HTMLResponse:
    return _answer(sandbox.world, organisation, id)


@router.get("/{organisation}/{project}/_workitems/edit/{item_id}", response_class=HTMLResponse)
def by_path(sandbox: Behind, organisation: str, project: str, item_id: int) -> HTMLResponse:
    return _answer(sandbox.world, organisation, item_id)


def page(item: Item) -> str:
    title = f"{item.kind.name} {item.id}: {item.fields.get('System.Title', '')}"
    rows = "".join(f"<tr><th>{escape(FIELDS[n].name)}<td>{escape(_shown(item.fields.get(n)))}" for n in SHOWN)
    texts = "".join(
        f"<h2>{escape(FIELDS[name].name)}</h2><pre>{escape(_plain(str(value)))}</pre>"
        for name, value in item.fields.items()
        if name in FIELDS and FIELDS[name].shape is Shape.HTML
    )
    said = "".join(_comment(comment) for comment in item.comments if not comment.deleted)
    bin_note = "<p><strong>In the recycle bin.</strong></p>" if item.deleted else ""
    return _document(title, f"{bin_note}<table>{rows}</table>{texts}<h2>Comments</h2>{said or '<p>None.</p>'}")


def _answer(world: World, organisation: str, item_id: int) -> HTMLResponse:
    held = world.organisation(organisation)
    item = world.items_of(held).get(item_id) if held else None
    text = page(item) if item else _document(f"Work item {item_id} does not exist", "")
    return HTMLResponse(text, 200 if item else 404, {"Content-Security-Policy": POLICY})


def _comment(comment: Comment) -> str:
    first, last = comment.versions[0], comment.versions[-1]
    edited = f", edited {last.at}" if len(comment.versions) > 1 else ""
    head = escape(f"{first.by.display_name}, {first.at}{edited}")
    return f"<article><small>{head}</small><pre>{escape(_plain(last.text))}</pre></article>"


def _plain(text: str) -> str:
    """Markup taken off, line ends kept."""
    return unescape(_TAG.sub("", _BREAK.sub("\n", text))).strip()


def _shown(value: Value) -> str:
    return value.display_name if isinstance(value, Identity) else "" if value is None else str(value)


def _document(title: str, body: str) -> str:
    name = escape(title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style></head>'
        f"<body><h1>{name}</h1>{body}</body></html>"
    )
