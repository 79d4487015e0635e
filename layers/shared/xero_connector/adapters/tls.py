"""One TLS context for every call of the process, to AWS and to Xero.

To read a bundle of root certificates takes longer than a refresh. So it is read once, and not for each connection.
"""

from functools import cache
from ssl import SSLContext

import certifi
from urllib3.util.ssl_ import create_urllib3_context


@cache
def tls_context(bundle: str | None) -> SSLContext:
    """Return the one TLS context for a bundle of root certificates, certifi's without one; it always verifies."""
    context = create_urllib3_context()
    context.load_verify_locations(bundle or certifi.where())
    return context
