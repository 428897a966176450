"""TLS as our clients speak it: 1.2 or newer, with the authorities that the environment names or the system trusts."""

import ssl
from functools import cache

import httpx2


@cache
def tls_context() -> ssl.SSLContext:
    """For all clients of this process together: reading the authorities takes 30 ms each time."""
    context = httpx2.create_ssl_context()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context
