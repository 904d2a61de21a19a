"""Who may see and do what on the page, by Airflow's own permissions.

==================================================  ==================================================================
what                                                permission
==================================================  ==================================================================
health, charts, deliveries without their bodies     to read plugins, as the link in the navigation needs it
the raw body of a delivery                          to read the connection, which holds what signs it
actions                                             to edit the connection
==================================================  ==================================================================

A connection of a team is shown to those alone who may read it.
"""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, status

from airflow_provider_toggl.hooks.health import list_toggl_connections


class Viewer:
    """A person who is signed in and may look.

    :param user: as Airflow's auth manager knows them.
    """

    def __init__(self, user: BaseUser) -> None:
        self.user = user
        self._teams: dict[str, str | None] = {}

    @property
    def name(self) -> str:
        """As the audit log has it."""
        return self.user.get_name()

    def connections(self) -> tuple[str, ...]:
        """Return the connections that they may see."""
        return tuple(conn_id for conn_id in list_toggl_connections() if self.may_see(conn_id))

    def may_see(self, conn_id: str) -> bool:
        """Whether they may see a connection's health and deliveries."""
        return self._team(conn_id) is None or self.may_read(conn_id)

    def may_read(self, conn_id: str) -> bool:
        """Whether they may read the connection, and so the bodies that it signs."""
        return bool(
            get_auth_manager().is_authorized_connection(method="GET", details=self._of(conn_id), user=self.user)
        )

    def may_act(self, conn_id: str) -> bool:
        """Whether they may act in the connection's name."""
        return bool(
            get_auth_manager().is_authorized_connection(method="PUT", details=self._of(conn_id), user=self.user)
        )

    def _of(self, conn_id: str) -> ConnectionDetails:
        return ConnectionDetails(conn_id=conn_id, team_name=self._team(conn_id))

    def _team(self, conn_id: str) -> str | None:
        if not conf.getboolean("core", "multi_team", fallback=False):
            return None
        if conn_id not in self._teams:
            self._teams[conn_id] = Connection.get_team_name(conn_id)
        return self._teams[conn_id]


def get_viewer(user: GetUserDep) -> Viewer:
    """Return who asks.

    :raises HTTPException: they may not look.
    """
    if not get_auth_manager().is_authorized_view(access_view=AccessView.PLUGINS, user=user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "You may not read plugins, which this page needs.")
    return Viewer(user)


ViewerDep = Annotated[Viewer, Depends(get_viewer)]


def get_connection_id(conn_id: str, reader: ViewerDep) -> str:
    """Return the connection of the path.

    :raises HTTPException: there is none of that name that they may see.
    """
    if conn_id not in reader.connections():
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no Toggl connection {conn_id!r} to show.")
    return conn_id


ConnectionDep = Annotated[str, Depends(get_connection_id)]


def get_actor(conn_id: ConnectionDep, reader: ViewerDep) -> Viewer:
    """Return who asks, where they may act for the connection of the path.

    :raises HTTPException: they may not.
    """
    if not reader.may_act(conn_id):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"To act for connection {conn_id!r} you need the right to edit it."
        )
    return reader


ActorDep = Annotated[Viewer, Depends(get_actor)]
