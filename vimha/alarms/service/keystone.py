"""Keystone: who has one of OpenStack's tokens, asked with the service's own credentials.

Invariant: a token that Keystone has not confirmed within the last KEPT_S seconds lets nobody in, so a revoked one is
refused at the latest then, and an expired one at once. A Keystone that does not answer is a 503, never a yes or a no.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from vimha.alarms import config, secret_files
from vimha.alarms.service.context import Caller
from vimha.alarms.service.problems import ProblemError

KEPT_S = 30.0
REFUSED_S = 5.0
"""As long a token that Keystone does not know is refused without asking again."""
MOST_KEPT = 10_000
WITHIN_S = 5.0
LONGEST = 8192
"""Characters of a token: a Fernet token has some 250, a JWS token some 1,000."""


class Keystone:
    """Validates tokens; remembers what it was told for a while, under digests with a key that only this process has."""

    def __init__(self, settings: config.Keystone) -> None:
        self._roles, self._projects = settings.roles, settings.projects
        self._domain = settings.project_domain_name
        auth = Password(
            auth_url=settings.auth_url, username=settings.username,
            password=secret_files.first_line(settings.password_file),
            project_name=settings.project_name, user_domain_name=settings.user_domain_name,
            project_domain_name=settings.project_domain_name,
        )  # fmt: skip
        verify = str(settings.ca_file) if settings.ca_file else True
        self._session = Session(auth=auth, verify=verify, timeout=WITHIN_S, user_agent="vimha", redirect=False)
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
        self._turns = asyncio.Semaphore(4)

    async def caller(self, token: str) -> Caller | None:
        """Who has this token, and a role here; ProblemError 503 when Keystone does not answer."""
        if not token or len(token) > LONGEST or not token.isascii() or not token.isprintable():
            return None
        digest = hashlib.blake2b(token.encode(), key=self._key).digest()
        known = self._known.get(digest)
        if known and known[0] > time.monotonic():
            return known[1]
        async with self._turns:
            caller, left_s = await asyncio.to_thread(self._ask, token)
        kept_s = min(KEPT_S, left_s) if caller else REFUSED_S
        self._known[digest] = (time.monotonic() + kept_s, caller)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return caller

    def _ask(self, token: str) -> tuple[Caller | None, float]:
        """Who has it, and for how many seconds still."""
        try:
            answer = self._session.get(
                "/auth/tokens", params={"nocatalog": ""}, headers={"X-Subject-Token": token}, raise_exc=False,
                endpoint_filter={"service_type": "identity", "interface": "public", "version": (3, 0)},
                endpoint_override=None,
            )  # fmt: skip
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return None, 0
            if answer.status_code != HTTPStatus.OK:
                raise ProblemError(503, f"Keystone answered {answer.status_code}", {"Retry-After": "1"})
            return self._caller(answer.json()["token"])
        except (ClientException, KeyError, ValueError) as error:
            raise ProblemError(
                503, f"Keystone cannot be asked: {type(error).__name__}", {"Retry-After": "1"}
            ) from error

    def _scoped(self, token: Mapping[str, Any]) -> bool:
        """Whether it is of a project that counts, or of the whole system."""
        project = token.get("project", {})
        ours = project.get("name") in self._projects and project["domain"]["name"] == self._domain
        return ours or bool(token.get("system", {}).get("all"))

    def _caller(self, token: Mapping[str, Any]) -> tuple[Caller | None, float]:
        left_s = (datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)).total_seconds()
        roles = {self._roles[each["name"]] for each in token.get("roles", []) if each["name"] in self._roles}
        if not roles or left_s <= 0 or not self._scoped(token):
            return None, 0
        role = max(roles, key=lambda each: each.rank)
        return Caller(token["user"]["name"], role), left_s
