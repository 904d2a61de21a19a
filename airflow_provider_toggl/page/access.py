"""Who may see and do what on the page, by Airflow's permissions; and parameters that routes share.

==================================================  ==================================================================
part                                                needed permission
==================================================  ==================================================================
health, charts, deliveries without their bodies     read plugins, which the link in the navigation needs too
the raw body of a delivery                          read the connection, which has the secret
actions                                             edit the connection
==================================================  ==================================================================

With ``[core] multi_team``, a connection of a team is shown only to people who may read the connection.
"""

from __future__ import annotations

from typing import Annotated, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, Path, Query, status

from airflow_provider_toggl.hooks.health import list_toggl_connections

MAX_SEQ = 2**63 - 1
"""The greatest number that a row can have in any database."""
Seq = Annotated[int, Path(ge=0, le=MAX_SEQ)]
SeqQuery = Annotated[int | None, Query(ge=0, le=MAX_SEQ)]


class Viewer:
    """A person who is signed in and may see the page.

    :param user: of Airflow's auth manager.
    """

    def __init__(self, user: BaseUser) -> None:
        self.user = user
        self._teams: dict[str, str | None] = {}

    @property
    def name(self) -> str:
        """The name in the audit log."""
        return self.user.get_name()

    def connections(self) -> tuple[str, ...]:
        """Return the connections that the viewer may see."""
        return tuple(conn_id for conn_id in list_toggl_connections() if self.may_see(conn_id))

    def may_see(self, conn_id: str) -> bool:
        """Whether the viewer may see a connection's health and deliveries."""
        return self._team(conn_id) is None or self.may_read(conn_id)

    def may_read(self, conn_id: str) -> bool:
        """Whether the viewer may read the connection, and so the bodies of its deliveries."""
        return self._is_authorized("GET", conn_id)

    def may_act(self, conn_id: str) -> bool:
        """Whether the viewer may run actions for the connection."""
        return self._is_authorized("PUT", conn_id)

    def _is_authorized(self, method: Literal["GET", "PUT"], conn_id: str) -> bool:
        details = ConnectionDetails(conn_id=conn_id, team_name=self._team(conn_id))
        return bool(get_auth_manager().is_authorized_connection(method=method, details=details, user=self.user))

    def _team(self, conn_id: str) -> str | None:
        if not conf.getboolean("core", "multi_team", fallback=False):
            return None
        if conn_id not in self._teams:
            self._teams[conn_id] = Connection.get_team_name(conn_id)
        return self._teams[conn_id]


def get_viewer(user: GetUserDep) -> Viewer:
    """Return the person who sent the request.

    :raises HTTPException: they may not see the page.
    """
    if not get_auth_manager().is_authorized_view(access_view=AccessView.PLUGINS, user=user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "You may not read plugins. This page needs that permission.")
    return Viewer(user)


ViewerDep = Annotated[Viewer, Depends(get_viewer)]


def get_connection_id(conn_id: str, viewer: ViewerDep) -> str:
    """Return the connection of the path.

    :raises HTTPException: there is no such connection, or the viewer may not see it.
    """
    if conn_id not in viewer.connections():
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no Toggl connection {conn_id!r}.")
    return conn_id


ConnectionDep = Annotated[str, Depends(get_connection_id)]


def get_actor(conn_id: ConnectionDep, viewer: ViewerDep) -> Viewer:
    """Return the person who sent the request, if they may run actions for the connection of the path.

    :raises HTTPException: they may not.
    """
    if not viewer.may_act(conn_id):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"You may not edit connection {conn_id!r}. Actions need that permission."
        )
    return viewer


ActorDep = Annotated[Viewer, Depends(get_actor)]
