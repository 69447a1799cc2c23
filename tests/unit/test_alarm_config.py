"""The configuration file: what it needs, and every mistake with its line."""

from pathlib import Path

import pytest

from vimha.alarms.config import Role, Settings, load, parse
from vimha.alarms.service.server import store_url
from vimha.errors import UsageError

LEAST = "auth: {files: [/etc/vimha/users.yaml]}\n"


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
        ("auth: &a {files: *a}\n", "f:1"),
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


RENDERED = "auth: {files: [/etc/vimha/alarms.users]}\nlisten: {port: 8781}\ndelivery:\n  allow: [10.1.0.0/16]\n"


def joined(folder: Path, local: str) -> Settings:
    paths = folder / "alarms.yaml", folder / "local.yaml"
    for path, text in zip(paths, (RENDERED, local), strict=True):
        path.write_text(text)
    return load(*paths)


def test_a_second_file_adds_to_the_first(tmp_path: Path) -> None:
    found = joined(
        tmp_path,
        "auth:\n"
        "  files: [/etc/vimha/users.yaml]\n"
        "  keystone: {auth_url: https://k:5000/v3, username: vimha, password_file: /p}\n"
        "delivery:\n"
        "  allow: [.vnfm.example.org]\n"
        "  snmp: [{name: oss, host: 192.0.2.9, user: vimha, secret_file: /s}]\n"
        "flapping: {changes: 9}\n",
    )
    assert [str(path) for path in found.auth.files] == ["/etc/vimha/alarms.users", "/etc/vimha/users.yaml"]
    assert found.auth.keystone is not None
    assert found.delivery.allow == ("10.1.0.0/16", ".vnfm.example.org")
    assert [sink.name for sink in found.delivery.sinks] == ["oss"]
    assert (found.flapping.changes, found.listen.port) == (9, 8781)


@pytest.mark.parametrize(
    ("local", "says"),
    [
        ("listen:\n  port: 8782\n", "/local.yaml:2: listen.port: said already in {}/alarms.yaml:2"),
        ("auth: {}\ndelivery:\n  allow:\n    - 10.2.0.0/16\n    - 10.3.0.0/99\n", "/local.yaml:5: delivery.allow.2: "),
        ("delivery:\n  snmp:\n    - {name: oss}\n", "/local.yaml:3: delivery.snmp.0.host: "),
        ("auth: 7\n", "/local.yaml:1: auth: said already in {}/alarms.yaml:1"),
        ("- auth\n", "/local.yaml:1: the file: not a mapping"),
        ("flaping: {changes: 9}\n", "/local.yaml:1: flaping: unknown"),
    ],
)
def test_a_mistake_in_the_second_file_names_its_line(tmp_path: Path, local: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        joined(tmp_path, local)
    assert says.format(tmp_path) in caught.value.message


def test_an_empty_second_file_says_nothing(tmp_path: Path) -> None:
    assert joined(tmp_path, "# later\n") == joined(tmp_path, "{}\n") == parse(RENDERED, "f")
