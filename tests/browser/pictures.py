"""`make pictures`: the pictures of README, of the pages themselves, in docs/images."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize

from local.chromium import started
from tests.browser.conftest import PageServer
from tests.fakes.setup_views import TICKET, a_view, tenants
from xero_connector.services.exchange_code import Connected
from xero_connector.web.consent_pages import ConsentPages
from xero_connector.web.setup_pages import SetupPages

FOLDER = Path(__file__).parents[2] / "docs/images"
LARGEST_BYTES = 200_000
_LARGE: ViewportSize = {"width": 1280, "height": 770}
_SMALL: ViewportSize = {"width": 800, "height": 620}
_AT_A_STEP = "step-3"


def taken(browser: Browser) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the PNG of each picture."""
    guide = SetupPages(None, "en").page(a_view(label="Electro Land"), token="-", reference="1f0c9a52")
    organisations = tenants("Demo Company (UK)", "Electro Land")
    end = ConsentPages(None, "en").connected(
        Connected(
            organisations, tenants_pending=False, repeated=False, stored=True, replaced=False, ticket=TICKET
        ),
        reference="1f0c9a52",
    )
    sizes: Mapping[str, ViewportSize] = {"guide": _LARGE, "connected": _SMALL}
    with PageServer() as server:
        for (name, size), response in zip(sizes.items(), (guide, end), strict=True):
            page = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")
            address = server.show(response)
            page.goto(f"{address}#{_AT_A_STEP}" if name == "guide" else address)
            yield name, page.screenshot()
            page.close()


if __name__ == "__main__":
    with started() as chromium:
        for name, picture in taken(chromium):
            if len(picture) > LARGEST_BYTES:
                raise SystemExit(f"{name}.png has {len(picture):,} bytes, more than {LARGEST_BYTES:,}")
            (FOLDER / f"{name}.png").write_bytes(picture)
