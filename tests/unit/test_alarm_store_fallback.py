"""A store that is reached by way of a load balancer, while that takes no connection: the database itself is asked."""

import pymysql
import pytest
from sqlalchemy import text

from vimha.alarms.store import database
from vimha.alarms.store.errors import StoreError


class FakeServer:
    """Stands for PyMySQL's connect: `refusing` ports take no connection, others say whom they were asked as."""

    def __init__(self, refusing: int, error: int = 2003) -> None:
        self.refusing, self.error, self.asked = refusing, error, []

    def __call__(self, **words: object) -> object:
        self.asked.append((words["host"], words["port"], words["user"]))
        if words["port"] == self.refusing:
            raise pymysql.err.OperationalError(self.error, "no")
        raise pymysql.err.OperationalError(1045, "this one is reached")


URL = "mysql+pymysql://vimha@127.0.0.1:3306/alarms?fallback=10.77.1.11:3307"


def connect(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> int:
    made = database.engine(URL)
    monkeypatch.setattr(made.dialect.dbapi, "connect", server)
    with pytest.raises(Exception, match=r"no|reached") as caught, made.connect() as connection:
        connection.execute(text("SELECT 1"))
    return int(caught.value.orig.args[0])  # type: ignore[attr-defined]


def test_a_refused_connection_is_made_to_the_other_address_as_the_same_user(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer(refusing=3306)
    assert connect(server, monkeypatch) == 1045
    assert server.asked == [("127.0.0.1", 3306, "vimha"), ("10.77.1.11", 3307, "vimha")]


def test_who_answers_is_not_gone_around(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer(refusing=3306, error=1040)
    assert connect(server, monkeypatch) == 1040
    assert len(server.asked) == 1


@pytest.mark.parametrize("other", ["10.77.1.11", ":3306", "host:port"])
def test_a_fallback_that_is_no_address_is_told(other: str) -> None:
    with pytest.raises(StoreError, match="no HOST:PORT"):
        database.engine(f"mysql+pymysql://vimha@127.0.0.1/alarms?fallback={other}")
