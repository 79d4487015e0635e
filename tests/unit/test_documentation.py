"""The documentation says what the code does, where a machine can tell."""

import ast
import re
from pathlib import Path

import pytest

from xero_connector.domain.proof import Verdict
from xero_connector.domain.token_endpoint import FailureKind

ROOT = Path(__file__).parents[2]
CODE = sorted((ROOT / "layers/shared/xero_connector").rglob("*.py"))
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GIVEN_TO_NOBODY = {Verdict.GOOD}


def codes_of_the_source() -> set[str]:
    """Every string that the source passes, or gives as a default, as `code=`."""
    found = {str(kind) for kind in FailureKind} | {str(verdict) for verdict in Verdict} - GIVEN_TO_NOBODY
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.keyword)
                and node.arg == "code"
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                found.add(node.value.value)
    return found


def test_every_error_code_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/api.md").read_text()))
    assert codes_of_the_source() <= explained


def test_every_template_parameter_alarm_and_metric_is_explained() -> None:
    operations = (ROOT / "docs/operations.md").read_text()
    template = (ROOT / "template.yaml").read_text()
    parameters = template.partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
    for name in re.findall(r"^  ([A-Z]\w+):$", parameters, re.MULTILINE):
        assert f"`{name}`" in operations, name
    for name in re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm", template, re.MULTILINE):
        assert name in operations, name
    for path in CODE:
        for name in re.findall(r"observer\.(?:count|measure)\(\"(\w+)\"", path.read_text()):
            assert name in operations, name


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target
