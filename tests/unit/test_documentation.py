"""The documentation says what the code does, where a machine can tell."""

import ast
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from xero_connector.domain import consent_refusals, setup_link, setup_refusals
from xero_connector.domain.events import iso_time
from xero_connector.domain.history import EVENTS
from xero_connector.domain.proof import Verdict
from xero_connector.domain.refresh_policy import REACTIONS, retry_at
from xero_connector.domain.scopes import GRANULAR_SCOPES
from xero_connector.domain.setup_view import TryProblem
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.services.refresh_turn import Outcome
from xero_connector.web.pages.catalogue import SHIPPED, keys
from xero_connector.web.setup_form import LARGEST_FORM

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/shared/xero_connector"
CODE = sorted(PACKAGE.rglob("*.py"))
HANDLERS = sorted((ROOT / "functions").rglob("*.py"))
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Decision records tell of their day; the changelog tells of what was.
PRESENT = [path for path in DOCS if path.parent.name != "decisions" and path.name != "CHANGELOG.md"]
GIVEN_TO_NOBODY = {Verdict.GOOD}
A_MINUTE = timedelta(minutes=1)
FILLED_IN = "{…}"

type Row = list[str]


def text_of(path: str) -> str:
    return (ROOT / path).read_text()


def section(path: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one that is not below it."""
    level = heading.partition(" ")[0]
    text = text_of(path)
    assert f"\n{heading}\n" in text, f"{path} has no heading {heading!r}"
    below = text.partition(f"\n{heading}\n")[2]
    return re.split(rf"^#{{1,{len(level)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[Row]]:
    """Return each Markdown table as its rows of cells, without the header."""
    found: list[list[Row]] = []
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.lstrip().startswith("|"):
            lines.append(line.strip())
        elif lines:
            cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", one)[1:-1]] for one in lines]
            found.append(cells[2:])
            lines = []
    return found


def table(path: str, heading: str) -> list[Row]:
    """Return the first table under a heading."""
    return tables(section(path, heading))[0]


def names(cell: str) -> list[str]:
    """Return what a cell names in code font, without what it explains in brackets."""
    return re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", cell))


# --- what the source says ----------------------------------------------------------------------------------------


def nodes() -> Iterator[ast.AST]:
    for path in CODE:
        yield from ast.walk(ast.parse(path.read_text()))


@cache
def constants() -> Mapping[str, str]:
    """Every name in capitals that a module gives a string to."""
    return {
        target.id: node.value.value
        for node in nodes()
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def strings_of(node: ast.expr | None) -> set[str]:
    """Return the strings that an expression can be, as far as the source says so in place."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.Name) and node.id in constants():
        return {constants()[node.id]}
    if isinstance(node, ast.IfExp):
        return strings_of(node.body) | strings_of(node.orelse)
    return set()


def calls(*called: str) -> Iterator[ast.Call]:
    for node in nodes():
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in called:
                yield node


def codes_of_the_source() -> set[str]:
    """Every string that the source passes, or gives as a default, as `code`."""
    found = {str(kind) for kind in FailureKind} | {str(verdict) for verdict in Verdict} - GIVEN_TO_NOBODY
    for node in nodes():
        if isinstance(node, ast.keyword) and node.arg == "code":
            found |= strings_of(node.value)
        if isinstance(node, ast.FunctionDef):
            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if argument.arg == "code":
                    found |= strings_of(default)
    for call in calls("Leftover", "leave", "PostponedError"):
        found |= strings_of(call.args[0] if call.args else None)
    return found


def metrics_of_the_source() -> set[tuple[str, str]]:
    """Every metric with its unit; whatever is filled in is written alike."""
    found = set()
    for call in calls("count", "measure", "gauge"):
        if isinstance(call.func, ast.Attribute) and "observer" in ast.unparse(call.func.value):
            (name, unit) = (
                call.args[0],
                {"count": "count", "gauge": "count", "measure": "seconds"}[call.func.attr],
            )
            if isinstance(name, ast.JoinedStr):
                found.add(("".join(map(part_of_a_name, name.values)), unit))
            else:
                assert strings_of(name), ast.unparse(call)
                found |= {(one, unit) for one in strings_of(name)}
    return found


def part_of_a_name(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else FILLED_IN


def lines_of_the_source() -> dict[str, set[str]]:
    """Every message of the log, with the fields that it can have."""
    found: dict[str, set[str]] = defaultdict(set)
    for call in calls("event", "warning"):
        if not isinstance(call.func, ast.Attribute) or "observer" not in ast.unparse(call.func.value):
            continue
        fields = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        if isinstance(call.args[0], ast.Name):
            assert call.args[0].id == "outcome", ast.unparse(call)
            messages = outcomes_that_are_logged()
        else:
            messages = strings_of(call.args[0])
        assert messages, ast.unparse(call)
        for message in messages:
            found[message] |= fields
    return dict(found)


def outcomes_that_are_logged() -> set[str]:
    found = {ast.unparse(call.args[0]).removeprefix("Outcome.") for call in calls("refreshed")}
    return {str(Outcome[name]) for name in found}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's tags as the values that they stand before."""


def _plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Template.add_multi_constructor("!", _plain)


@cache
def template() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.load(text_of("template.yaml"), _Template)  # noqa: S506 - a SafeLoader
    return found


def alarms() -> Mapping[str, Mapping[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] in {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
    }


# --- error codes -------------------------------------------------------------------------------------------------


def explained_codes() -> set[str]:
    """Every code that one of the tables of errors has a row for."""
    rows = [
        row
        for heading in ("## Errors", "### `DELETE /credentials/{client_id}`")
        for rows in tables(section("docs/api.md", heading))
        for row in rows
    ]
    return {name for row in rows for name in names(row[1] if re.fullmatch(r"\d(\d\d|xx)", row[0]) else row[0])}


def gateway_codes() -> set[str]:
    answers = template()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    return {
        code
        for answer in answers.values()
        for code in re.findall(r'"code":"(\w+)"', answer["ResponseTemplates"]["application/json"])
    }


def test_every_error_code_of_the_source_is_explained() -> None:
    assert codes_of_the_source() | gateway_codes() <= explained_codes()


def test_every_error_code_that_is_explained_is_one_of_the_source() -> None:
    given = codes_of_the_source() | gateway_codes()
    # A refresh that finds something definite answers with the status that it leads to.
    given |= {Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED}
    # The names of query parameters are filled in: malformed_status, malformed_limit, malformed_next_token.
    given |= {f"malformed_{name}" for name in ("status", "limit", "next_token")}
    assert explained_codes() <= given


@pytest.mark.parametrize(
    ("heading", "source"), [("### Pages", consent_refusals), ("### Setup pages", setup_refusals)]
)
def test_the_table_of_pages_is_that_of_the_refusals(heading: str, source: ModuleType) -> None:
    refusals = [value for value in vars(source).values() if isinstance(value, source.Refusal)]
    described = [(row[0], names(row[1])) for row in table("docs/api.md", heading)]
    assert len(described) == len({code for _, [code] in described})
    assert {(status, code) for status, [code] in described} == {
        (str(int(refusal.status)), refusal.code) for refusal in refusals
    }


def test_the_table_of_setup_pages_is_that_of_the_setup_refusals() -> None:
    refusals = [value for value in vars(setup_refusals).values() if isinstance(value, setup_refusals.Refusal)]
    described = [(row[0], names(row[1])[0]) for row in table("docs/api.md", "### Setup pages")]
    assert sorted(described) == sorted((str(int(row.status)), row.code) for row in refusals)


def test_the_problems_of_a_try_are_those_of_the_source_and_the_same_ones_count() -> None:
    described = {
        name: row[2]
        for row in table("docs/api.md", "### What the page says about a try")
        for name in names(row[0])
    }
    files = ("domain/setup_try.py", "use_cases/hand_over_pair.py")
    source = "".join((PACKAGE / file).read_text() for file in files)
    given = {str(TryProblem[name]) for name in re.findall(r"TryProblem\.([A-Z_]+)", source)}
    assert set(described) == given
    assert {name for name, counts in described.items() if counts == "yes"} == {
        str(one) for one in setup_link.REFUSALS
    }


def test_the_limits_of_a_setup_link_are_those_of_the_source() -> None:
    limits = section("docs/api.md", "## Setup links")
    window = setup_link.TRIES_WINDOW // A_MINUTE
    assert (
        f"**{setup_link.MOST_TRIES} tries in {window} minutes and {setup_link.MOST_REFUSALS} refused pairs"
        in limits
    )
    assert f"**{setup_link.MOST_TRIES_OF_AN_ADDRESS} tries in an hour for one IP address**" in limits
    assert f"removes a link {setup_link.KEPT_AFTER_EXPIRY.days} days after it expired" in limits
    days = f"a whole number from {setup_link.SHORTEST_LIFETIME.days} to {setup_link.LONGEST_LIFETIME.days}"
    assert f"{days}; {setup_link.DEFAULT_LIFETIME.days} by default" in limits
    assert f"`POST /setup/{{ticket}}`: the form of that page, at most {LARGEST_FORM:,} bytes" in text_of(
        "docs/api.md"
    )


# --- metrics, log messages, alarms, parameters -------------------------------------------------------------------


def test_the_table_of_metrics_is_that_of_the_source() -> None:
    described = {
        (re.sub(r"\{\w+\}", FILLED_IN, name), row[1])
        for row in table("docs/operations.md", "## Metrics")
        for name in names(row[0])
    }
    assert described == metrics_of_the_source()


def test_the_kinds_of_a_failed_refresh_are_those_of_the_source() -> None:
    (meaning,) = [row[2] for row in table("docs/operations.md", "## Metrics") if "{kind}" in row[0]]
    assert names(meaning) == [str(kind) for kind in FailureKind]


def test_the_table_of_log_messages_is_that_of_the_source() -> None:
    described = {
        message: set(names(row[1])) for row in table("docs/operations.md", "## Logs") for message in names(row[0])
    }
    assert described == lines_of_the_source()


def test_the_warnings_are_those_of_the_source() -> None:
    (line,) = re.findall(r"`WARNING` for what is not as it should be:\n(.*)\n", text_of("docs/operations.md"))
    of_the_source = {message for call in calls("warning") for message in strings_of(call.args[0])}
    assert set(names(line)) == of_the_source


def test_the_table_of_alarms_is_that_of_the_template() -> None:
    described = [
        name.strip()
        for rows in tables(section("docs/operations.md", "## Alarms"))
        for row in rows
        for name in row[0].split(",")
    ]
    assert sorted(described) == sorted(alarms())


def test_every_alarm_looks_at_a_metric_that_exists() -> None:
    ours = {
        alarm["MetricName"] for alarm in alarms().values() if "XeroConnector" in str(alarm.get("Namespace", ""))
    }
    assert ours
    assert ours <= {name for name, _ in metrics_of_the_source()}


def test_the_table_of_parameters_is_that_of_the_template() -> None:
    described = {name: row[1] for row in table("docs/operations.md", "## Parameters") for name in names(row[0])}
    parameters = template()["Parameters"]
    assert set(described) == set(parameters)
    for name, default in described.items():
        value = str(parameters[name]["Default"])
        expected = {"": "empty"}.get(value, f"`{value}`")
        if default == "Xero's":
            assert value.endswith(".xero.com")
        else:
            assert default in {expected, value}, name


def test_the_outputs_and_parameters_of_the_first_deployment_are_those_of_the_template() -> None:
    shown = re.findall(
        r"^(\w+) {2,}\S", section("docs/first-deployment.md", "## 7. Read the outputs"), re.MULTILINE
    )
    assert len(shown) > 3
    assert set(shown) <= set(template()["Outputs"])
    named = re.findall(r"[`\"](\w+)=", text_of("docs/first-deployment.md"))
    assert len(named) > 5
    assert set(named) <= set(template()["Parameters"])


def test_samconfig_names_parameters_of_the_template() -> None:
    settings = tomllib.loads(text_of("samconfig.toml"))
    for environment in ("default", "staging", "prod"):
        overrides = settings[environment]["global"]["parameters"]["parameter_overrides"]
        assert {one.partition("=")[0] for one in overrides} <= set(template()["Parameters"])
    assert "GradualDeployment=enabled" in settings["prod"]["global"]["parameters"]["parameter_overrides"]


# --- what a failed refresh leads to ------------------------------------------------------------------------------


def minutes(pause: timedelta) -> str:
    return f"{pause // A_MINUTE} min"


def test_the_table_of_reactions_is_the_policy() -> None:
    described = {names(row[0])[0]: row[1:] for row in table("docs/architecture.md", "### What a failure leads to")}
    expected = {}
    for kind, reaction in REACTIONS.items():
        pause = minutes(reaction.first_pause)
        if reaction.longest_pause > reaction.first_pause:
            pause += f", doubling to {minutes(reaction.longest_pause)}"
        finished = "yes" if reaction.attempt_finished else "no"
        expected[str(kind)] = [f"`{reaction.status}`", pause, finished]
    assert described == expected


def test_the_limits_of_a_retry_after_are_those_of_the_policy() -> None:
    now = datetime.fromisoformat("2026-11-23T12:00:00Z")
    for_ever = 10**6
    longest = [
        retry_at(FailureKind.THROTTLED, failures=1, retry_after=for_ever, now=now, unfinished_since=since) - now
        for since in (None, now)
    ]
    text = section("docs/architecture.md", "### What a failure leads to")
    found = re.findall(r"(?:up to|longer than) (\d+) minutes", text)
    assert [timedelta(minutes=int(number)) for number in found] == longest


# --- who may do what ---------------------------------------------------------------------------------------------

FUNCTIONS = {
    "CredentialApiRole": "credential_api",
    "OAuthCallbackRole": "oauth_callback",
    "SetupPageRole": "setup_page",
    "TokenRefreshRole": "token_refresh",
}
SEVERAL = {
    "all four": set(FUNCTIONS.values()),
    "all but setup_page": set(FUNCTIONS.values()) - {"setup_page"},
}
RESOURCES = {
    "Registry": "Registry",
    "ListCredentials": "Registry, index `credentials`",
    "CountCredentials": "Registry, index `credentials`",
    "Due": "Registry, index `due`",
    "ClientSecrets": "client secrets",
    "TokenSecrets": "token secrets",
    "DomainEvents": "event bus",
    "VaultKeyThroughSecretsManagerOnly": "vault key",
    "ParkedGrants": "vault key, sealing only",
    "FailedTicks": "FailedTicks queue",
    "Logs": "the function's own log group",
    "Traces": "`*`",
}


def permissions_of_the_template() -> set[tuple[str, str, str]]:
    return {
        (function, action, RESOURCES[statement["Sid"]])
        for role, function in FUNCTIONS.items()
        for policy in template()["Resources"][role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    }


def test_the_table_of_permissions_is_that_of_the_template() -> None:
    described = set()
    for function, action, resource, _ in table("docs/permissions.md", "## Functions"):
        for one in SEVERAL.get(function, {function}):
            described.add((one, action.strip("`"), resource))
    assert described == permissions_of_the_template()


@pytest.mark.parametrize(
    ("what", "secrets"), [("client secret", "client secrets"), ("access token", "token secrets")]
)
def test_the_readers_of_a_secret_are_those_whom_the_template_lets_read_it(what: str, secrets: str) -> None:
    (row,) = [
        row for row in table("SECURITY.md", "## What is secret, and where it lives") if row[0].startswith(what)
    ]
    readers = {
        function
        for function, action, resource in permissions_of_the_template()
        if action == "secretsmanager:GetSecretValue" and resource == secrets
    }
    assert set(names(row[2])) & set(FUNCTIONS.values()) == readers


def test_the_traces_hold_addresses_exactly_if_the_stage_is_traced() -> None:
    """API Gateway's own segment has the whole address of a request, whatever the code does."""
    traced = template()["Resources"]["Api"]["Properties"].get("TracingEnabled", False)
    assert ("the full URL of the request" in section("SECURITY.md", "## What traces hold")) == traced


# --- domain events -----------------------------------------------------------------------------------------------


def schema(event: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text_of(f"docs/events/{event}.v1.json"))
    return found


def test_the_table_of_events_is_that_of_the_source_and_of_the_schemas() -> None:
    common = {names(row[0])[0] for row in tables(section("docs/events.md", "## What arrives"))[0]}
    described = {names(row[0])[0]: set(names(row[3])) for row in table("docs/events.md", "## The events")}
    assert described == {event: set(schema(event)["properties"]) - common for event in EVENTS.values()}


def test_the_example_of_an_event_is_of_its_schema_and_writes_times_as_events_do() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", section("docs/events.md", "## What arrives"), re.DOTALL)
    envelope = json.loads(example)
    detail = envelope["detail"]
    assert list(Draft202012Validator(schema(envelope["detail-type"])).iter_errors(detail)) == []
    written = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]+)"', json.dumps(detail))
    assert written
    assert written == [iso_time(datetime.fromisoformat(moment)) for moment in written]


# --- sentences that people read ----------------------------------------------------------------------------------


@cache
def sentences_of_the_source() -> str:
    """Every string of the source and of the catalogue, one a line; what is filled in is an ellipsis."""
    found = []
    for node in nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            found.append("".join(map(str, parts)))
    found += [str(text) for _, text in keys(SHIPPED.open("en").texts)]
    return "\n".join(found)


def quoted_sentences() -> Iterator[str]:
    checks = tables(section("docs/troubleshooting.md", "## What the checks tell you"))[0]
    for row in [*checks, *table("docs/troubleshooting.md", "## If something does not work")]:
        for cell in row:
            if not cell.startswith("On Xero's page"):
                yield from re.findall(r"(?<![*\w])\*([^*]+)\*(?![*\w])", cell)


def test_the_sentences_that_the_guide_quotes_are_those_of_the_source() -> None:
    assert len(set(quoted_sentences())) > len(FailureKind)
    for sentence in quoted_sentences():
        for part in sentence.split("…"):
            assert part.strip(" ,") in sentences_of_the_source(), sentence


def test_the_table_of_retired_scopes_is_that_of_the_source() -> None:
    described = {
        names(retired)[0]: tuple(names(instead))
        for retired, instead in table("docs/troubleshooting.md", "### Retired scopes")
    }
    assert described == dict(GRANULAR_SCOPES)


# --- what the demo shows -----------------------------------------------------------------------------------------


def test_the_steps_that_the_readme_shows_are_those_of_the_demo() -> None:
    shown = re.findall(r"^\[[^\]]*\] \d+\. (.*)$", text_of("README.md"), re.MULTILINE)
    told = re.findall(r'_tell\("(.*)"\)', text_of("local/stack/demo.py"))
    assert shown
    assert set(shown) <= set(told)


# --- how Xero behaves --------------------------------------------------------------------------------------------


def test_every_fact_about_xero_has_a_grade_and_says_what_rests_on_it() -> None:
    grades, *facts = tables(text_of("docs/xero-behaviour.md"))
    known = {row[0] for row in grades}
    rows = [row for rows in facts for row in rows]
    assert len(rows) > len(known)
    for *_, fact, grade, rests in rows:
        assert re.split(r"[ ,(]", grade)[0] in known, fact
        assert rests, fact


# --- folders, files, links ---------------------------------------------------------------------------------------


def folders(parent: str) -> set[str]:
    return {
        f"{parent}/{path.name}/"
        for path in (ROOT / parent).iterdir()
        if path.is_dir() and not path.name.startswith(("__", "."))
    }


def test_the_table_of_test_folders_is_that_of_the_disk() -> None:
    described = {name for row in table("CONTRIBUTING.md", "## How tests are written") for name in names(row[0])}
    assert described == folders("tests") | {"local/*/tests/"}


def test_the_rooms_of_the_package_are_those_of_the_disk() -> None:
    drawn = re.findall(r"(\w+)/ ", section("docs/architecture.md", "## The layers of the code"))
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert rooms <= set(drawn)


def test_a_handler_function_is_as_short_as_contributing_says() -> None:
    (limit,) = re.findall(r"handler function .* at most (\d+) lines", text_of("CONTRIBUTING.md"))
    lengths = [
        (node.end_lineno or 0) - node.lineno + 1
        for path in HANDLERS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    assert max(lengths) == int(limit)


@pytest.mark.parametrize("path", PRESENT, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    rooms = "domain|services|use_cases|adapters|web"
    for name in re.findall(r"`((?:tests|local|functions|layers|docs|events)/[\w./-]*)`", path.read_text()):
        assert (ROOT / name).exists(), name
    for name in re.findall(rf"`((?:{rooms})/\w+\.py)`", path.read_text()):
        assert (PACKAGE / name).exists(), name


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]*))?\)", path.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            led_to = path.parent / target if target else path
            assert led_to.exists(), target
            if anchor and led_to.suffix == ".md":
                assert anchor in anchors(led_to), f"{target}#{anchor}"


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
