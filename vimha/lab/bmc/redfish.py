"""Redfish: sushy-tools' emulator over TLS, with a driver for the lab's nodes.

Invariant: a listener shows its own node only, whatever the request names. sushy-tools has no setting for a driver
of one's own, and its routes are bound to one application object, so that object is given a subclass here; which
node a request is about comes with the request, from the listener that took it.
"""

import socket
import ssl
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import bcrypt
import flask
from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.lab.bmc.config import BmcConfig, Endpoint
from vimha.lab.bmc.switch import Switch

NODE = "vimha.node"
"""The key of the listener's node in a request's environment."""
_ROUNDS = 4
"""bcrypt's lowest cost: sushy-tools hashes the password anew in every request, on the fencing path. The file is
private to the lab and the password has 64 random bits."""
_IDLE_S = 30.0
"""How long a connection may stay silent."""


class LabSystems(AbstractSystemsDriver):  # type: ignore[misc]  # (sushy-tools has no types)
    """The lab's nodes as Redfish systems, known by name and by UUID."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    @property
    def driver(self) -> str:
        return "<vimha lab>"

    @property
    def systems(self) -> list[str]:
        return [flask.request.environ[NODE]]

    def _node(self, identity: str) -> str:
        node = str(flask.request.environ[NODE])
        if identity not in (node, node_uuid(node)):
            raise error.NotFound(f"no system {identity} at this BMC")
        return node

    def uuid(self, identity: str) -> str:
        return node_uuid(self._node(identity))

    def name(self, identity: str) -> str:
        return self._node(identity)

    def get_power_state(self, identity: str) -> str:
        return "On" if self._switch.is_on(self._node(identity)) else "Off"

    def set_power_state(self, identity: str, state: str) -> None:
        changes = {
            "On": self._switch.on,
            "ForceOn": self._switch.on,
            "ForceOff": self._switch.off,
            "ForceRestart": self._switch.cycle,
        }
        if state not in changes:
            raise error.BadRequest(f"ResetType {state} is not supported")
        changes[state](self._node(identity))

    def get_boot_device(self, identity: str) -> str:
        return "Hdd"

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        raise error.NotSupportedError("a lab node boots from its own disk only")


class LabApplication(emulator.Application):  # type: ignore[misc]  # (sushy-tools has no types)
    """The emulator's application with `systems` from the lab."""

    lab_systems: LabSystems

    @property
    def systems(self) -> LabSystems:
        return self.lab_systems


class Handler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive; an answer leaves at once instead of waiting for the client's delayed ACK."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Power changes are logged by the switch; a fencing agent's polls are not worth a line each."""


def node_uuid(node: str) -> str:
    """The UUID of a node's system, the same in every lab."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, node))


def application(config: BmcConfig, switch: Switch) -> LabApplication:
    """The emulator, configured for this lab. One per process: sushy-tools has only one application."""
    htpasswd = config.folder / "htpasswd"
    digest = bcrypt.hashpw(config.password().encode(), bcrypt.gensalt(_ROUNDS)).decode()
    write_atomic(htpasswd, f"{config.username}:{digest}\n", 0o600)
    app = emulator.app
    app.__class__ = LabApplication
    app.lab_systems = LabSystems(switch)
    app.configure(
        extra_config={
            "SUSHY_EMULATOR_AUTH_FILE": str(htpasswd),
            "SUSHY_EMULATOR_STATE_DIR": str(config.folder / "sushy"),
            "SUSHY_EMULATOR_FEATURE_SET": "minimum",
        }
    )
    return app  # type: ignore[no-any-return]


def listeners(config: BmcConfig, app: LabApplication) -> list[BaseWSGIServer]:
    """A bound TLS listener per endpoint, in this thread's network namespace; VimhaError when an address is taken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certificate, config.key)
    return [_listener(endpoint, app, context) for endpoint in config.endpoints]


def _listener(endpoint: Endpoint, app: LabApplication, context: ssl.SSLContext) -> BaseWSGIServer:
    def one_bmc(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return app({**environ, NODE: endpoint.node}, start_response)  # type: ignore[no-any-return]

    try:
        sock = socket.create_server((endpoint.address, endpoint.redfish_port), backlog=128)
    except OSError as problem:
        where = f"{endpoint.address}:{endpoint.redfish_port}"
        raise VimhaError(f"{endpoint.node}: no BMC at {where}: {problem.strerror}") from problem
    with sock:
        server = make_server(
            endpoint.address,
            endpoint.redfish_port,
            one_bmc,
            threaded=True,
            request_handler=Handler,
            ssl_context=context,
            fd=sock.fileno(),
        )
    # The handshake belongs in the connection's own thread: a client that never begins it may not block the others.
    server.socket.do_handshake_on_connect = False  # type: ignore[attr-defined]
    return server
