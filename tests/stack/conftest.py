import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Look at the logs after everything else, the browser tests included, has written to them."""
    items.sort(key=lambda item: item.path.name == "test_secrecy.py")
