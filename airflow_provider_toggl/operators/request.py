"""Any request to Toggl from a DAG, under the same pace, quota and care as every other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_callable,
    parse_flag,
    parse_json,
    parse_method,
    parse_query,
    parse_text,
    required,
)
from airflow_provider_toggl.core.client.idempotency import is_outcome_unknown
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.retry import may_repeat
from airflow_provider_toggl.core.errors import ApiError, ConfigurationError, MalformedAnswer, OutcomeUnknown, TogglError
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.operators.write_operator import TogglWriteOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_WHAT_TO_DO = (
    "Look in Toggl whether it was. Where it was not, start a new run of the DAG; where sending it twice does no harm, "
    "set idempotent=True."
)
#: Fields of Toggl's answers that let in who knows them.
SECRETS = frozenset({"api_token", "secret", "intercom_hash", "ical_url", "invite_url", "invitation_code"})


def _parse_endpoint(name: str, value: Any) -> str:
    path = parse_text(name, value) or ""
    if not path.startswith("/") or path.startswith("//") or any(mark in path for mark in "?#\\"):
        raise ConfigurationError(
            f"{name} must be a path of Toggl's API that begins with one slash, as /api/v9/me does, without a "
            "host, a query or a fragment: the host is the connection's, the query goes into query."
        )
    return path


class RequestInDoubt(OutcomeUnknown, AirflowFailException):
    """A request was sent, and what came of it is not known; Airflow does not try the task again by itself."""


class TogglRequestOperator(TogglWriteOperator):
    """Ask Toggl for anything: paced, charged to the quota, which it waits for without a worker slot.

    Reads, and requests that are said to be idempotent, are tried again by themselves. Any other whose outcome is not
    known is not: the task fails with ``OutcomeUnknown``, and its next try does too instead of sending it again.

    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``. (templated)
    :param endpoint: the path below the base URL, without a query. ``{workspace_id}`` in it is the workspace,
        ``{organization_id}`` its organization: ``/api/v9/workspaces/{workspace_id}/tags``. (templated)
    :param query: parameters of the URL; ``params`` is Airflow's own word. (templated)
    :param json: the body. (templated)
    :param idempotent: whether it may be sent again when its outcome is not known. None: reads may, writes may not.
        (templated)
    :param response_check: given the answer, and of the context what it has parameters for; False fails the task.
    :param response_filter: likewise; what it returns is the result. By default the decoded JSON without tokens and
        secrets, or the text where it is none. The answer has ``json()``, ``text``, ``status`` and ``headers``
        (lower-case names).
    """

    template_fields: Sequence[str] = (
        *TogglWriteOperator.template_fields,
        "endpoint",
        "method",
        "query",
        "json",
        "idempotent",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteOperator.argument_parsers,
        "endpoint": _parse_endpoint,
        "method": required(parse_method),
        "query": parse_query,
        "json": parse_json,
        "idempotent": parse_flag,
        "response_check": parse_callable,
        "response_filter": parse_callable,
    }
    template_fields_renderers = {"query": "json", "json": "json"}  # noqa: RUF012 - Airflow's own way to say it

    #: What the response callables may ask for.
    run_context: Context

    def __init__(
        self,
        *,
        endpoint: str,
        method: str = "GET",
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        idempotent: bool | None = None,
        response_check: Callable[..., bool] | None = None,
        response_filter: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.method = method
        self.query = query
        self.json = json
        self.idempotent = idempotent
        self.response_check = response_check
        self.response_filter = response_filter
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> Any:
        """Ask; return what the response filter makes of the answer."""
        method = self.method
        hook = TogglHook(self.toggl_conn_id)
        path = self._path(hook)
        repeats = may_repeat(method, path, self.idempotent)
        # Before anything is noted: a connection that is wrong sends nothing.
        hook.get_conn()
        request = f"{method} {path}"
        if not repeats:
            self._note_sending(progress, request)
        try:
            answer = hook.request(method, path, params=self.query, payload=self.json, idempotent=self.idempotent)
        except (ApiError, ConfigurationError) as error:
            if not repeats:
                self._note_failure(progress, error)
            raise
        result = self._result(answer)
        if not repeats:
            # Kept, for nobody is told whether Airflow could take the result.
            self.keep(progress, {"sent": request, "answered": answer.status, "max_tries": self.max_tries})
        return result

    def _note_sending(self, progress: dict[str, Any], request: str) -> None:
        noted = self.recall(progress)
        is_answered = "answered" in noted
        # Who clears a task that has ended lets Airflow make more tries, and wants it done again.
        if noted.get("sent") and not (is_answered and noted.get("max_tries") != self.max_tries):
            if is_answered:
                became = f"it was answered {noted['answered']}, and what the task made of that did not reach Airflow"
            else:
                became = "the try did not get as far as its end. What came of the request is not known"
            raise RequestInDoubt(
                f"An earlier try of this task sent {noted['sent']}: {became}, so it was not sent again. {_WHAT_TO_DO}"
            )
        self.keep(progress, {"sent": request})

    def _note_failure(self, progress: dict[str, Any], error: TogglError) -> None:
        """Note that nothing came of the request.

        :raises RequestInDoubt: that is not known.
        """
        if isinstance(error, ApiError) and is_outcome_unknown(error):
            raise RequestInDoubt(
                f"{error} Whether Toggl carried it out is not known, so it was not sent again, and the task is not "
                f"tried again by itself. {_WHAT_TO_DO}",
                status=error.status,
                text=error.text,
            ) from error
        self.keep(progress, None)

    def _path(self, hook: TogglHook) -> str:
        path = self.endpoint
        if "{workspace_id}" in path or "{organization_id}" in path:
            workspace = hook.get_workspace_id(self.workspace_id)
            path = path.replace("{workspace_id}", str(workspace))
            if "{organization_id}" in path:
                path = path.replace("{organization_id}", str(hook.get_conn().organization_of(workspace)))
        return path

    def _result(self, answer: TogglResponse) -> Any:
        if self.response_check is not None and not self._call(self.response_check, answer):
            raise MalformedAnswer(
                f"{answer.method} {answer.path} was answered {answer.status}, and response_check did not accept the "
                "answer.",
                status=answer.status,
            )
        if self.response_filter is not None:
            return self._call(self.response_filter, answer)
        try:
            return _without_secrets(answer.json())
        except MalformedAnswer:
            return answer.text

    def _call(self, function: Callable[..., Any], answer: TogglResponse) -> Any:
        return function(answer, **select_context(function, self.run_context))


def _without_secrets(value: Any) -> Any:
    """Return a decoded answer as XCom may have it: Toggl tells a token's owner the token."""
    if isinstance(value, dict):
        return {name: "***" if name in SECRETS and inner else _without_secrets(inner) for name, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def select_context(function: Callable[..., Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function that is given an answer has further parameters for, of the context."""
    try:
        _, *more = inspect.signature(function).parameters.values()
    except ValueError:
        # Of some builtin functions nothing is known.
        return {}
    if any(one.kind is one.VAR_KEYWORD for one in more):
        return dict(context)
    return {one.name: context[one.name] for one in more if one.name in context}
