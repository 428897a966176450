"""Tell people that something waits for them: in the log, or by POST to one URL where that is set.

What a target (a name of policy: team, lead) means is the receiver's affair: a Slack or Teams workflow, a pager, a
mail gateway. Notifications only tell; deciding needs the commands or the page that they name.
"""

from datetime import timedelta

import httpx2
import structlog
from pydantic import SecretStr

from pointsman.clients.azure_devops.errors import retry_after
from pointsman.clients.tls import tls_context
from pointsman.ports import Rejected, Unavailable

TIMEOUT = timedelta(seconds=10)
RETRY_AFTER_MAX = timedelta(seconds=30)  # a decision that came meanwhile waits behind the notification
LOG = structlog.get_logger(__name__)


class WebhookNotifier:
    """Posts `{"target", "subject", "text"}` as JSON; `text` is Markdown. Without URL it only logs."""

    def __init__(self, url: SecretStr | None = None) -> None:
        self._url = url

    async def notify(self, target: str, subject: str, text: str) -> str:
        """At least once. The URL often holds a token: it is in no log and no error, and no redirect is followed.

        Raises:
            Unavailable: no answer, or one that says to try again; with the wait that it asks for, 30 s at most.
            Rejected: the receiver refuses the message, or the URL cannot be used.
        """
        if self._url is None:
            told = "in the log"
        else:
            answer = await self._post(self._url, target, {"target": target, "subject": subject, "text": text})
            told = f"by webhook, HTTP {answer.status_code}"
        LOG.info("people told", target=target, subject=subject, how=told)
        return f"{target} told {told}"

    async def _post(self, url: SecretStr, target: str, message: dict[str, str]) -> httpx2.Response:
        what = f"notification of {target}"
        try:
            async with httpx2.AsyncClient(verify=tls_context(), timeout=TIMEOUT.total_seconds()) as http:
                answer = await http.post(url.get_secret_value(), json=message)
        except httpx2.HTTPError as error:
            raise Unavailable(f"{what}: no answer from the receiver ({type(error).__name__})") from error
        except httpx2.InvalidURL:
            raise Rejected(
                f"{what}: the URL in POINTSMAN_NOTIFY_WEBHOOK cannot be used; nobody was told", code="InvalidUrl"
            ) from None  # the cause may show parts of the URL
        status = answer.status_code
        if status == 429 or status >= 500:
            asked = retry_after(answer)
            raise Unavailable(f"{what}: HTTP {status}", None if asked is None else min(asked, RETRY_AFTER_MAX))
        if not answer.is_success:
            raise Rejected(f"{what}: HTTP {status}, nobody was told", code=str(status))
        return answer
