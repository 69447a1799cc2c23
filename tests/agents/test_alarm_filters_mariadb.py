"""Filters mean on a real MariaDB what they mean in Python."""

from collections.abc import Iterator

import pytest
from alarm_filter_cases import agree, filters, kept
from hypothesis import HealthCheck, given, settings
from single_daemons import Mariadb, Namespace
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from vimha.alarms.model import Alarm
from vimha.alarms.store.schema import METADATA

pytestmark = pytest.mark.agents


@pytest.fixture(scope="module")
def engine(root_user: None) -> Iterator[Engine]:
    with Namespace() as namespace:
        daemon = Mariadb(namespace)
        daemon.start()
        root = f"mysql+pymysql://root@localhost/%s?unix_socket={daemon.socket}"
        with create_engine(root % "mysql", isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("CREATE DATABASE filters"))
        made = create_engine(root % "filters")
        METADATA.create_all(made)
        yield made
        made.dispose()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kept=kept, words=filters)
def test_sql_and_python_agree(engine: Engine, kept: list[Alarm], words: str) -> None:
    agree(engine, kept, words)
