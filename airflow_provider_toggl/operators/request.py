"""The operator that sends any request to Toggl, within the same rate and quota as all others."""

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
from airflow_provider_toggl.operators.write_operator import TogglWriteBase

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_WHAT_TO_DO = (
    "Check in Toggl whether it was carried out. If not, start a new DAG run. If sending it twice does no harm, set "
    "idempotent=True."
)
#: Fields of Toggl's responses that give access to an account or workspace.
SECRETS = frozenset({"api_token", "secret", "intercom_hash", "ical_url", "invite_url", "invitation_code"})


def _parse_endpoint(name: str, value: Any) -> str:
    path = parse_text(name, value) or ""
    if not path.startswith("/") or path.startswith("//") or any(mark in path for mark in "?#\\"):
        raise ConfigurationError(
            f"{name} must be a path of Toggl's API that starts with one slash, such as /api/v9/me, without a host, a "
            "query or a fragment. The host is the connection's, and parameters go into query."
        )
    return path


class RequestInDoubt(OutcomeUnknown, AirflowFailException):
    """A request was sent and its outcome is unknown. Airflow does not retry the task automatically."""


class TogglRequestOperator(TogglWriteBase):
    """Send a request to Toggl. It is paced and charged to the quota, which the task awaits without a worker slot.

    Reads, and requests that are declared idempotent, are retried automatically. If the outcome of any other request is
    unknown, the task fails with ``OutcomeUnknown``, and so does its next try, instead of sending it again.

    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``. (templated)
    :param endpoint: the path below the base URL, without a query. ``{workspace_id}`` is replaced by the workspace and
        ``{organization_id}`` by its organization: ``/api/v9/workspaces/{workspace_id}/tags``. (templated)
    :param query: parameters of the URL, because Airflow reserves the name ``params``. (templated)
    :param json: the body. (templated)
    :param idempotent: whether it may be sent again when its outcome is unknown. None: reads may, writes may not.
        (templated)
    :param response_check: a function of the response, and of those values of the context that it has parameters for.
        If it returns False, the task fails.
    :param response_filter: a function with the same parameters that returns the result. By default the result is the
        decoded JSON without tokens and secrets, or the text of a response that is not JSON. The response has
        ``json()``, ``text``, ``status`` and ``headers`` (lower-case names).
    """

    template_fields: Sequence[str] = (
        *TogglWriteBase.template_fields,
        "endpoint",
        "method",
        "query",
        "json",
        "idempotent",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteBase.argument_parsers,
        "endpoint": _parse_endpoint,
        "method": required(parse_method),
        "query": parse_query,
        "json": parse_json,
        "idempotent": parse_flag,
        "response_check": parse_callable,
        "response_filter": parse_callable,
    }
    template_fields_renderers = {"query": "json", "json": "json"}  # noqa: RUF012 - Airflow's own way to say it

    #: Values that the response functions may use.
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
        """Send the request; return the result of the response filter."""
        method = self.method
        hook = TogglHook(self.toggl_conn_id)
        path = self._path(hook)
        repeats = may_repeat(method, path, self.idempotent)
        # A wrong connection fails before the request is recorded as sent.
        hook.get_conn()
        request = f"{method} {path}"
        if not repeats:
            self._record_sending(progress, request)
        try:
            response = hook.request(method, path, params=self.query, payload=self.json, idempotent=self.idempotent)
        except (ApiError, ConfigurationError) as error:
            if not repeats:
                self._record_failure(progress, error)
            raise
        result = self._result(response)
        if not repeats:
            # The record stays, because Airflow may fail to store the result.
            self.record_sent(progress, {"sent": request, "answered": response.status, "max_tries": self.max_tries})
        return result

    def _record_sending(self, progress: dict[str, Any], request: str) -> None:
        sent = self.find_sent(progress)
        is_answered = "answered" in sent
        # Somebody who clears a task that has ended allows more tries, and wants the request to be sent again.
        if sent.get("sent") and not (is_answered and sent.get("max_tries") != self.max_tries):
            if is_answered:
                outcome = f"it was answered {sent['answered']}, but the result of the task did not reach Airflow"
            else:
                outcome = "the try was interrupted, and the outcome of the request is unknown"
            raise RequestInDoubt(
                f"An earlier try of this task sent {sent['sent']}: {outcome}. It was not sent again. {_WHAT_TO_DO}"
            )
        self.record_sent(progress, {"sent": request})

    def _record_failure(self, progress: dict[str, Any], error: TogglError) -> None:
        """Record that the request was not carried out.

        :raises RequestInDoubt: the outcome is unknown.
        """
        if isinstance(error, ApiError) and is_outcome_unknown(error):
            raise RequestInDoubt(
                f"{error} Whether Toggl carried it out is unknown, so it was not sent again, and the task is not "
                f"retried automatically. {_WHAT_TO_DO}",
                status=error.status,
                text=error.text,
            ) from error
        self.record_sent(progress, None)

    def _path(self, hook: TogglHook) -> str:
        path = self.endpoint
        if "{workspace_id}" in path or "{organization_id}" in path:
            workspace = hook.get_workspace_id(self.workspace_id)
            path = path.replace("{workspace_id}", str(workspace))
            if "{organization_id}" in path:
                path = path.replace("{organization_id}", str(hook.get_conn().organization_of(workspace)))
        return path

    def _result(self, response: TogglResponse) -> Any:
        if self.response_check is not None and not self._call(self.response_check, response):
            raise MalformedAnswer(
                f"{response.method} {response.path} was answered {response.status}, and response_check rejected the "
                "response.",
                status=response.status,
            )
        if self.response_filter is not None:
            return self._call(self.response_filter, response)
        try:
            return _without_secrets(response.json())
        except MalformedAnswer:
            return response.text

    def _call(self, function: Callable[..., Any], response: TogglResponse) -> Any:
        return function(response, **select_context(function, self.run_context))


def _without_secrets(value: Any) -> Any:
    """Return a decoded response for XCom: without secrets, such as the token that Toggl returns to its owner."""
    if isinstance(value, dict):
        return {name: "***" if name in SECRETS and inner else _without_secrets(inner) for name, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def select_context(function: Callable[..., Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the context that a function of a response has parameters for."""
    try:
        _, *more = inspect.signature(function).parameters.values()
    except ValueError:
        # Some builtin functions have no signature.
        return {}
    if any(one.kind is one.VAR_KEYWORD for one in more):
        return dict(context)
    return {one.name: context[one.name] for one in more if one.name in context}
