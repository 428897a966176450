"""Tell people that something waits for them: always in the log, and by POST to one URL where that is set.

What a target (a name of policy: team, lead) means is the receiver's affair: a Slack or Teams workflow, a pager, a
mail gateway. Notifications only tell; deciding needs the commands or the page that they name.
"""

from datetime import timedelta

import httpx2
import structlog
from pydantic import SecretStr

from pointsman.ports import Rejected, Unavailable

TIMEOUT = timedelta(seconds=10)
LOG = structlog.get_logger(__name__)


class WebhookNotifier:
    """Posts `{"target", "subject", "text"}` as JSON; `text` is Markdown. Without URL it only logs."""

    def __init__(self, url: SecretStr | None = None) -> None:
        self._url = url

    async def notify(self, target: str, subject: str, text: str) -> str:
        """At least once. The URL often holds a token: it is in no log and no error.

        Raises:
            Unavailable: no answer, or one that says to try again.
            Rejected: the receiver refuses the message.
        """
        LOG.info("people told", target=target, subject=subject)
        if self._url is None:
            return f"{target} told in the log"
        try:
            async with httpx2.AsyncClient(timeout=TIMEOUT.total_seconds()) as http:
                answer = await http.post(
                    self._url.get_secret_value(), json={"target": target, "subject": subject, "text": text}
                )
        except httpx2.HTTPError as error:
            raise Unavailable(f"notification of {target}: {type(error).__name__}") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Unavailable(f"notification of {target}: HTTP {answer.status_code}")
        if not answer.is_success:
            raise Rejected(f"notification of {target}: HTTP {answer.status_code}", code=str(answer.status_code))
        return f"{target} told by webhook, HTTP {answer.status_code}"
