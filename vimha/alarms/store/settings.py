"""What is changed at run time and holds for all nodes: named JSON values."""

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from vimha.alarms.store.rows import dumps
from vimha.alarms.store.schema import SETTING


def read(connection: Connection, name: str, default: Any) -> Any:
    """The value of a setting; `default` when it was never set."""
    text = connection.execute(select(SETTING.c.value).where(SETTING.c.name == name)).scalar()
    return default if text is None else json.loads(text)


def write(connection: Connection, name: str, value: Any) -> None:
    """Set it, whatever it was."""
    connection.execute(delete(SETTING).where(SETTING.c.name == name))
    connection.execute(insert(SETTING).values(name=name, value=dumps(value)))
