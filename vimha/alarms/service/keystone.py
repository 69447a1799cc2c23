"""Keystone: who has one of OpenStack's tokens."""

from vimha.alarms.service.context import Caller


class Keystone:
    async def caller(self, token: str) -> Caller | None:
        raise NotImplementedError
