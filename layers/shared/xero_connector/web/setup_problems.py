"""What a page says about the last try: the words, and the field that they stand beside."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.setup_view import SetupView, Stage, TryProblem

_CLIENT_ID = ("client_id",)
_CLIENT_SECRET = ("client_secret",)
_TYPE = ("integration_type",)
_FIELDS: Mapping[TryProblem, tuple[str, ...]] = {
    TryProblem.MISSING_CLIENT_ID: _CLIENT_ID,
    TryProblem.MALFORMED_CLIENT_ID: _CLIENT_ID,
    TryProblem.CLIENT_ID_UNKNOWN: _CLIENT_ID,
    TryProblem.CREDENTIAL_EXISTS: _CLIENT_ID,
    TryProblem.MOBILE_APP: _CLIENT_ID,
    TryProblem.MISSING_CLIENT_SECRET: _CLIENT_SECRET,
    TryProblem.MALFORMED_CLIENT_SECRET: _CLIENT_SECRET,
    TryProblem.SECRET_WRONG: _CLIENT_SECRET,
    TryProblem.PAIR_REFUSED: (*_CLIENT_SECRET, *_CLIENT_ID),
    TryProblem.MISSING_INTEGRATION_TYPE: _TYPE,
    TryProblem.CUSTOM_CONNECTION: _TYPE,
    TryProblem.WEB_APP: _TYPE,
}
"""The fields that a problem is about, the one to go to first; no other problem is about a field."""
_IS_REALLY = {
    TryProblem.CUSTOM_CONNECTION: IntegrationType.CUSTOM_CONNECTION,
    TryProblem.WEB_APP: IntegrationType.WEB_APP,
    TryProblem.MOBILE_APP: IntegrationType.WEB_APP,
}
"""What to choose the next time."""
_OF_NO_USE_NOW = frozenset(
    {
        TryProblem.MOBILE_APP,
        TryProblem.CREDENTIAL_EXISTS,
        TryProblem.IN_PROGRESS,
        TryProblem.TOO_MANY_TRIES,
        TryProblem.TOO_MANY_REFUSALS,
    }
)
"""Where entering the secret again at once would not help."""
_LONGEST_TYPED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Keys of the catalogue and what fills them in; `typed` is the client ID that goes back into the form.

    `again` if entering the secret again can help at once.
    """

    name: TryProblem
    what: str
    todo: str
    fields: tuple[str, ...]
    typed: str
    again: bool
    integration_type: IntegrationType | None
    values: Mapping[str, object] = field(default_factory=dict)


def problem_of(view: SetupView) -> Problem | None:
    """Return what to say about the last try, if there was one."""
    tried = view.last_try
    if tried is None:
        return None
    texts = f"setup.problems.{tried.problem}"
    problem = Problem(
        name=tried.problem,
        what=f"{texts}.what",
        todo=f"{texts}.todo",
        fields=_FIELDS.get(tried.problem, ()),
        typed=tried.client_id[:_LONGEST_TYPED],
        again=tried.problem not in _OF_NO_USE_NOW,
        integration_type=_IS_REALLY.get(tried.problem, tried.integration_type),
        values={} if tried.again_at is None else {"time": tried.again_at},
    )
    return _without_a_choice(problem, view)


def _without_a_choice(problem: Problem, view: SetupView) -> Problem:
    """Speak only of fields that the page has, and offer no choice where the link has made it."""
    shown = {"client_secret"}
    if view.stage is Stage.PAIR:
        shown |= {"client_id"} if view.integration_type else {"client_id", "integration_type"}
    fields = tuple(name for name in problem.fields if name in shown)
    if problem.fields == _TYPE and not fields and problem.name is not TryProblem.MISSING_INTEGRATION_TYPE:
        return replace(problem, fields=fields, todo=f"{problem.todo}_fixed")
    return replace(problem, fields=fields)
