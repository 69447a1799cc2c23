"""The process: `vimha alarms serve`. Opens the store, and serves until it is told to end.

Invariant: it listens only once every file that the configuration names could be read, and does its work only once the
store is open: a file's at once, a database server's as soon as that answers (late.py). On SIGTERM what was taken in is
committed before it ends.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from vimha.alarms import secret_files
from vimha.alarms.config import Settings
from vimha.alarms.delivery import delivery
from vimha.alarms.service import users
from vimha.alarms.service.app import make_app
from vimha.alarms.service.connections import Connection
from vimha.alarms.service.keystone import Keystone
from vimha.alarms.service.late import Late
from vimha.alarms.store.store import Store
from vimha.errors import UsageError

DRAIN_S = 5
"""As long open requests may take after SIGTERM."""


class Server(uvicorn.Server):
    """Ends the consoles' streams when it is told to end, for they would not by themselves."""

    def __init__(self, app: FastAPI | Late, settings: Settings) -> None:
        super().__init__(configured(app, settings))
        self._service = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if context := getattr(self._service.state, "context", None):
            context.streams.end()


def check(settings: Settings) -> None:
    """UsageError when a file that the settings name cannot be used: to be said before the service listens."""
    delivery.check(settings.delivery)
    users.load(settings.auth.files)
    if settings.auth.keystone:
        Keystone(settings.auth.keystone)
    store_url(settings)
    configured(FastAPI(), settings)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, which is a daemon's usual end."""
    check(settings)
    url = store_url(settings)
    opened = partial(Store.open, url, settings.flapping.rules)
    if make_url(url).get_backend_name() != "sqlite":
        _serve_late(settings, opened)
        return
    store = opened()
    try:
        with suppress(KeyboardInterrupt):
            Server(make_app(store, settings), settings).run()
    finally:
        store.close()


def _serve_late(settings: Settings, opened: Callable[[], Store]) -> None:
    """Serve over a store that may not be there yet."""
    failures: list[Exception] = []

    def fail(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    server = Server(Late(opened, lambda store: make_app(store, settings), fail), settings)
    with suppress(KeyboardInterrupt):
        server.run()
    for error in failures:
        raise error


def configured(app: FastAPI | Late, settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve; UsageError when the certificates cannot be used."""
    listen = settings.listen
    made = uvicorn.Config(
        app, host=listen.address, port=listen.port, log_config=None, access_log=False, http=Connection, ws="none",
        ssl_certfile=listen.certificate, ssl_keyfile=listen.key,
        ssl_ca_certs=str(listen.client_ca) if listen.client_ca else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if listen.client_ca else ssl.CERT_NONE,
        server_header=False, timeout_graceful_shutdown=DRAIN_S,
    )  # fmt: skip
    try:
        made.load()
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"listen: the certificate, its key or client_ca cannot be used: {error}") from error
    return made


def store_url(settings: Settings) -> str:
    """The store's URL with the password of its file."""
    try:
        url = make_url(settings.store)
    except ArgumentError as error:
        raise UsageError("store: not a SQLAlchemy URL such as sqlite:////var/lib/vimha/alarms.db") from error
    if settings.store_password_file:
        url = url.set(password=secret_files.first_line(settings.store_password_file))
    return url.render_as_string(hide_password=False)
