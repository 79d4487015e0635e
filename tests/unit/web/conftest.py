from collections.abc import Iterator
from pathlib import Path

import pytest

from xero_connector.web.pages import catalogue
from xero_connector.web.pages.catalogue import SHIPPED, Catalogues

GERMAN = """
[common]
reference = "Kennung"

[consent.refusals.consent_denied]
title = "Xero wurde nicht verbunden"
todo = "Nochmals beginnen"

[guide.steps.log_in]
title = "Bei Xero anmelden"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogues]:
    """A second language, which is one more file in the folder."""
    (tmp_path / "en.toml").write_text((SHIPPED.folder / "en.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "de.toml").write_text(GERMAN, "utf-8")
    both = Catalogues(tmp_path)
    monkeypatch.setattr(catalogue, "SHIPPED", both)
    catalogue.shipped.cache_clear()
    yield both
    catalogue.shipped.cache_clear()
