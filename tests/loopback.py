"""HTTP clients of tests talk to this machine and need no authorities: reading them takes 30 ms for each client."""

import ssl

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
