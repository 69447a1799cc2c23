"""The process: `vimha alarms serve`. Opens the store, and serves until it is told to end.

Invariant: it listens only once the store is open and every file that the configuration names could be read; on SIGTERM
what was taken in is committed before it ends.
"""

import ssl
from contextlib import suppress
from pathlib import Path

import uvicorn
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from vimha.alarms.config import Settings
from vimha.alarms.service.app import make_app
from vimha.alarms.service.files import secret
from vimha.alarms.service.peers import PeerProtocol
from vimha.alarms.store.store import Store
from vimha.errors import UsageError

DRAIN_S = 5
"""As long open requests may take after SIGTERM; a stream of events is cut then."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, which is a daemon's usual end."""
    store = Store.open(store_url(settings), settings.flapping.rules)
    try:
        listen = settings.listen
        config = uvicorn.Config(
            make_app(store, settings), host=listen.address, port=listen.port, log_config=None, access_log=False,
            ssl_certfile=listen.certificate, ssl_keyfile=listen.key, ssl_ca_certs=_text(listen.client_ca),
            ssl_cert_reqs=ssl.CERT_OPTIONAL if listen.client_ca else ssl.CERT_NONE,
            http=PeerProtocol, server_header=False, timeout_graceful_shutdown=DRAIN_S,
        )  # fmt: skip
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run()
    finally:
        store.close()


def store_url(settings: Settings) -> str:
    """The store's URL with the password of its file."""
    try:
        url = make_url(settings.store)
    except ArgumentError as error:
        raise UsageError("store: not a SQLAlchemy URL such as sqlite:////var/lib/vimha/alarms.db") from error
    if settings.store_password_file:
        url = url.set(password=secret(settings.store_password_file))
    return url.render_as_string(hide_password=False)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
