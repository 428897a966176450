"""Health check of a container: exit 0 if the URL answers with a status below 400 within three seconds."""

import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener


def healthy(url: str) -> bool:
    try:
        # Without the proxy of the environment: the answer must be this container's own.
        with build_opener(ProxyHandler({})).open(url, timeout=3) as answer:
            return bool(answer.status < 400)
    except (URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
