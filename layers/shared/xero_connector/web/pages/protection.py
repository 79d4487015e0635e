"""The headers that protect every answer to a browser; what a page may load is only what it holds itself."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

_ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def headers(
    *, style: str | None = None, script: str | None = None, form: bool = False, polls: bool = False
) -> dict[str, str]:
    """Return the headers of an answer with this inline style and script (CSP Level 3).

    `form` if the page posts to its own host, and `polls` if its script asks there how things stand.
    """
    policy = ["default-src 'none'"]
    if style is not None:
        # The icon of the tab is part of the page too.
        policy += [f"style-src {_source(style)}", "img-src data:"]
    if script is not None:
        policy.append(f"script-src {_source(script)}")
    if polls:
        policy.append("connect-src 'self'")
    policy += ["base-uri 'none'", f"form-action {"'self'" if form else "'none'"}", "frame-ancestors 'none'"]
    return {**_ALWAYS, "Content-Security-Policy": "; ".join(policy)}


def _source(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
