"""The demo's past: items that people closed earlier, so that whoever searches finds how it was solved."""

from dataclasses import dataclass

from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.config import ADA, NOOR
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit
from pointsman.sandbox.azure_devops.process import COMMON, SCHEDULING, TCM
from pointsman.sandbox.azure_devops.state import World

ORGANISATION, PROJECT = "fabrikam", "Fabrikam"
AREAS = ("Checkout", "Search")


@dataclass(frozen=True)
class Past:
    """An item that went its way: what was asked, how it ended, and what the last comment said."""

    kind: str
    title: str
    fields: dict[str, str | int | float]
    state: str = "New"
    comment: str = ""


PASTS = (
    Past(
        "Bug",
        "Checkout answers 500 when the basket holds a gift card",
        {
            f"{TCM}ReproSteps": "<ol><li>Put a gift card into the basket</li><li>Pay by card</li></ol>"
            "<p>Expected: confirmation. Seen: HTTP 500, NullReferenceException in TaxCalculator.</p>",
            f"{COMMON}Severity": "2 - High",
            f"{COMMON}Priority": 1,
            "System.AreaPath": "Fabrikam\\Checkout",
            "System.Tags": "checkout; payments; regression",
        },
        "Closed",
        "<p>Cause: gift cards have no tax class, and TaxCalculator reads it unchecked. Fixed by treating a missing "
        "class as exempt; test added for a basket of gift cards only.</p>",
    ),
    Past(
        "Bug",
        "Payment page hangs for 30 seconds before it fails",
        {
            f"{TCM}ReproSteps": "<p>When the payment provider is slow, the page waits for its full timeout.</p>",
            f"{COMMON}Severity": "2 - High",
            f"{COMMON}Priority": 2,
            "System.AreaPath": "Fabrikam\\Checkout",
            "System.Tags": "checkout; payments; timeout",
        },
        "Resolved",
        "<p>The provider's client had no timeout of its own. Set to 5 s, with a message that the payment is still "
        "being processed.</p>",
    ),
    Past(
        "Bug",
        "Search returns nothing for words with accents",
        {
            f"{TCM}ReproSteps": "<p>Search for <i>café</i>: no results. Search for <i>cafe</i>: twelve.</p>",
            f"{COMMON}Severity": "3 - Medium",
            f"{COMMON}Priority": 3,
            "System.AreaPath": "Fabrikam\\Search",
            "System.Tags": "search; i18n",
        },
        "Closed",
        "<p>The index folded accents, the query did not. Both go through the same analyser now.</p>",
    ),
    Past(
        "User Story",
        "As a customer I can save my basket for later",
        {
            "System.Description": "<p>The basket is kept for 30 days, on every device of the customer.</p>",
            f"{COMMON}AcceptanceCriteria": "<ul><li>Kept for 30 days</li><li>Prices are refreshed on return</li></ul>",
            f"{SCHEDULING}StoryPoints": 5,
            "System.AreaPath": "Fabrikam\\Checkout",
            "System.Tags": "basket",
        },
        "Active",
    ),
    Past(
        "Task",
        "Rotate the certificate of the payment gateway",
        {"System.Description": "<p>Expires at the end of the quarter.</p>", f"{SCHEDULING}RemainingWork": 2.0},
    ),
)


def seed(world: World) -> None:
    """Write the past into the world, if it has the demo's organisation. Nobody is subscribed yet, nobody hears."""
    organisation = world.organisation(ORGANISATION)
    if organisation is None or organisation.project(PROJECT) is None:
        return
    for area in AREAS:
        world.forest.plant(ORGANISATION, PROJECT, "areas", [area])
    process = world.process_of(organisation, PROJECT)
    for past in PASTS:
        edited = (FieldEdit(name, value, merge=False) for name, value in past.fields.items())
        document = Document(fields=(FieldEdit("System.Title", past.title, merge=False), *edited))
        item, _ = edits.create(world, organisation, PROJECT, process.kinds[past.kind], document, ADA)
        ended = [FieldEdit("System.State", past.state, merge=False)] if past.state != item.kind.initial else []
        said = [FieldEdit(edits.HISTORY, past.comment, merge=True)] if past.comment else []
        if ended or said:
            edits.patch(world, item, Document(fields=(*ended, *said)), NOOR)
