"""What python-openstackclient asks of a plug-in: its options, and a client made of the user's session.

Invariant: the service's address is `--os-vim-endpoint`, else what Keystone's catalogue has for the service type
`vim-alarm`, else the endpoint of an authentication that knows no catalogue (`--os-auth-type none`, `admin_token`).
"""

import argparse
import ssl
from collections.abc import Generator
from typing import Any

import httpx
from keystoneauth1.session import Session
from osc_lib import exceptions, utils

from vimha.alarms.client.client import TREE, Client

API_NAME = "vim"
API_VERSION_OPTION = "os_vim_api_version"
API_VERSIONS = {"1": "vimha_cli.osc.plugin"}
DEFAULT_API_VERSION = "1"
SERVICE_TYPE = "vim-alarm"


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The plug-in's options, among those of `openstack` itself."""
    parser.add_argument(
        "--os-vim-api-version", metavar="<vim-api-version>", choices=list(API_VERSIONS),
        default=utils.env("OS_VIM_API_VERSION", default=DEFAULT_API_VERSION),
        help="VIM alarm API version, default=1 (Env: OS_VIM_API_VERSION)",
    )  # fmt: skip
    parser.add_argument(
        "--os-vim-endpoint", metavar="<url>", default=utils.env("OS_VIM_ENDPOINT"),
        help=f"Where the alarm service is, if the catalogue has no {SERVICE_TYPE} (Env: OS_VIM_ENDPOINT)",
    )  # fmt: skip
    return parser


def make_client(instance: Any) -> Client:
    """The client of `openstack`'s ClientManager `instance`."""
    endpoint = instance.get_configuration().get("vim_endpoint") or instance.get_endpoint_for_service_type(
        SERVICE_TYPE, region_name=instance.region_name, interface=instance.interface
    )
    if not endpoint:
        raise exceptions.CommandError(
            f"the catalogue has no service of type {SERVICE_TYPE}: give --os-vim-endpoint, or OS_VIM_ENDPOINT"
        )
    session = instance.session
    return Client(endpoint.rstrip("/").removesuffix(TREE), SessionToken(session), trust(session))


def trust(session: Session) -> ssl.SSLContext | bool:
    """Whom the session trusts (`--os-cacert`, `--insecure`), and its certificate (`--os-cert`, `--os-key`)."""
    if session.verify is False:
        context = ssl._create_unverified_context()  # noqa: S323  # the user asked for it
    else:
        context = ssl.create_default_context(cafile=session.verify if isinstance(session.verify, str) else None)
    if session.cert:
        context.load_cert_chain(*([session.cert] if isinstance(session.cert, str) else session.cert))
    return context


class SessionToken(httpx.Auth):
    """The session's token; one that the service refuses is replaced once."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._show(request)
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._session.invalidate():
            self._show(request)
            yield request

    def _show(self, request: httpx.Request) -> None:
        if token := self._session.get_token():
            request.headers["Authorization"] = f"Bearer {token}"
