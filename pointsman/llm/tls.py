"""TLS as every adapter speaks it: 1.2 or newer, with the certificates that the environment names or the system trusts.

Reading those takes 40 ms, and a client of one key after the other wants them: they are read once.
"""

import os
import ssl
from functools import lru_cache

import httpx2


def tls_context() -> ssl.SSLContext:
    """For all clients together."""
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _context(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """The context under these settings of OpenSSL, which it is read anew for."""
    context = httpx2.create_ssl_context()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context
