"""The configuration file: what it needs, and every mistake with its line."""

from pathlib import Path

import pytest

from vimha.alarms.config import Role, load, parse
from vimha.alarms.service.server import store_url
from vimha.errors import UsageError

LEAST = "auth: {file: /etc/vimha/users.yaml}\n"


def test_the_least_file_is_safe() -> None:
    found = parse(LEAST, "f")
    assert (found.listen.address, found.listen.plain, found.delivery.allow_http) == ("127.0.0.1", False, False)
    assert found.base_url == "http://127.0.0.1:8780"
    assert found.flapping.rules.changes == 5


def test_all_of_it() -> None:
    found = parse(
        "auth:\n"
        "  certificates: {'CN=nfvo': reader}\n"
        "  keystone: {auth_url: https://k:5000/v3, username: vimha, password_file: /p, roles: {member: operator}}\n"
        "listen: {address: 0.0.0.0, port: 443, certificate: /c, key: /k, client_ca: /ca}\n"
        "store: mysql+pymysql://vimha@db/alarms\n"
        "url: https://vip/\n",
        "f",
    )
    assert found.auth.keystone is not None
    assert found.auth.keystone.roles == {"member": Role.OPERATOR}
    assert found.base_url == "https://vip"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f: auth: Field required"),
        ("auth: {}\n", "f:1: auth: nobody could ask"),
        (LEAST + "listen:\n  port: 70000\n", "f:3: listen.port: "),
        (LEAST + "listen: {address: 0.0.0.0}\n", "plain HTTP on 0.0.0.0 would show tokens"),
        (LEAST + "listen: {certificate: /c}\n", "belong together"),
        (LEAST + "listen: {client_ca: /c}\n", "only TLS does"),
        (LEAST + "listen: {address: somewhere}\n", "f:2: listen"),
        (LEAST + "sture: x\n", "f:2: sture: unknown"),
        (LEAST + "flapping: {changes: 0}\n", "flapping.changes"),
        (LEAST + "delivery: {allow: [10.0.0.0/99]}\n", "delivery.allow"),
        ("auth: [\n", "f:"),
        ("- auth\n", "f"),
        ("auth: &a {file: *a}\n", "f:1"),
    ],
)
def test_mistakes_name_their_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "f")
    assert says in caught.value.message


def test_all_mistakes_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse("listen: {port: x}\nsture: y\n", "f")
    assert len(caught.value.message.splitlines()) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load(tmp_path / "binary")


def test_the_store_s_password_is_of_its_own_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    secret.chmod(0o600)
    found = parse(LEAST + f"store: mysql+pymysql://vimha@db/alarms\nstore_password_file: {secret}\n", "f")
    assert store_url(found) == "mysql+pymysql://vimha:p%40ss%2Fword@db/alarms"
    secret.chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        store_url(found)
