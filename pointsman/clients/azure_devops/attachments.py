"""Files of work items: uploaded first, then linked to an item by the relation `AttachedFile`."""

import re

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.connection import BYTES, Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.patches import Operation, add_relation
from pointsman.ports import Rejected

BYTES_MAX = 60 * 1024 * 1024  # the service's default; an organisation may be allowed more
_ID = re.compile(r"/attachments/([0-9a-fA-F-]{36})(?:[/?]|$)", re.IGNORECASE)


class Attachment(Answer):
    id: str
    url: str = ""


class AttachmentsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def upload(self, project: str, name: str, content: bytes) -> Attachment:
        """Put a file where items can link to it. Not idempotent; one that nobody links to is of no harm.

        Raises:
            Rejected: it is larger than `BYTES_MAX`; nothing was sent.
        """
        if len(content) > BYTES_MAX:
            raise Rejected(f"{name!r} has {len(content):,} bytes, at most {BYTES_MAX:,} can be attached", "TooLarge")
        path = f"{segment(project)}/_apis/wit/attachments"
        return await self._connection.call(
            Attachment, "POST", path, query={"fileName": name}, body=content, content_type=BYTES
        )

    async def download(self, project: str, attachment_id: str) -> bytes:
        """The file, whole in memory: at most `BYTES_MAX` by the service's own limit."""
        return await self._connection.download(f"{segment(project)}/_apis/wit/attachments/{segment(attachment_id)}")


def attach(attachment: Attachment, comment: str = "") -> Operation:
    """Link an uploaded file to the item that is patched."""
    return add_relation("AttachedFile", attachment.url, comment)


def attachment_id(url: str) -> str:
    """Id of the file that a relation `AttachedFile` names, so that it is read from our own organisation only.

    Raises:
        Rejected: the URL is none of an attachment.
    """
    found = _ID.search(url)
    if found is None:
        raise Rejected(f"{url!r} is not the URL of an attachment", "NoAttachment")
    return found.group(1)
