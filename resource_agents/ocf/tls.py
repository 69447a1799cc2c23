"""TLS between the members of a clustered service: the files that the operator provides, and whether they will do.

Invariant: a daemon is started only with files that a peer with the same authority accepts today. What tells is a
handshake of the files with themselves, both sides asking for a certificate, by a process of the daemon's user: so it
reads what the daemon can read, and finds what the daemon's own OpenSSL would find, which some daemons do not say.
"""

import os
import pwd

from resource_agents.ocf.agent import CONFIGURED, GENERIC, INSTALLED, OcfError, Parameter
from resource_agents.ocf.system import System, become

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

PARAMETERS = (
    Parameter("certificate", "TLS certificate", "This node's certificate in PEM, for TLS between the members, as the "
              "daemon's configuration names it; empty: no TLS."),
    Parameter("key", "its private key", "In PEM, readable by the daemon's user and by nobody else who is not root."),
    Parameter("ca_file", "authority", "The certificate of the authority that signed those of all members, in PEM."),
)  # fmt: skip
SILENT_S = 0.5
"""How long a peer that has shaken hands may take to think better of it; one that waits for us to speak says nothing."""
GOOD_FOR_ALL = "give all members certificates of one authority, valid today"
OUT_OF_DATE = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED (x509_vfy.h): the peer's to mend, and then all is well."""
ROUNDS = 3
"""So often each side takes its turn until both are content (TLS 1.3: the server judges the client last, RFC 8446)."""


def check(system: System, values: "Mapping[str, str]", user: str, name: str = "") -> None:
    """OcfError(INSTALLED) unless a daemon of `user` can use the files in `values`, where any are named; with `name`,
    the certificate must be for that host. CONFIGURED when only some of the three are named.
    """
    paths = {each.name: values[each.name] for each in PARAMETERS}
    if not any(paths.values()):
        return
    if lacking := [parameter for parameter, path in paths.items() if not path.startswith("/")]:
        raise OcfError(CONFIGURED, f"parameter {lacking[0]} is not an absolute path: TLS needs {', '.join(paths)}")
    for path in paths.values():
        if system.access(path) is None:
            raise OcfError(INSTALLED, f"{path} does not exist on this node: TLS needs {', '.join(paths.values())}")
    _, mode = system.access(paths["key"]) or ("", 0)
    if mode & 0o007:
        raise OcfError(
            INSTALLED, f"key {paths['key']} has mode {mode:04o}, so that everybody can read it: chmod o= {paths['key']}"
        )
    certificate, key, ca_file = (system.root + path for path in paths.values())
    if said := as_user(user, lambda: refusal(certificate, key, ca_file, name)):
        raise OcfError(INSTALLED, said)


def meet(values: "Mapping[str, str]", who: str, where: tuple[str, int], timeout_s: float, name: str = "") -> None:
    """OcfError when the member `who`, who listens `where` says, and this node do not trust each other: INSTALLED
    when one's certificate is not the other's authority's, GENERIC when it speaks no TLS (yet), or its certificate is
    not valid today. Nothing is said of one that does not answer within `timeout_s`, nor without TLS here. `name` is
    what its certificate must be for.
    """
    if not values["key"]:
        return
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bool(name)
    try:
        context.load_verify_locations(values["ca_file"])
        context.load_cert_chain(values["certificate"], values["key"])
        with (
            socket.create_connection(where, timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=name or None) as talk,
        ):
            talk.settimeout(SILENT_S)
            talk.recv(1)  # with TLS 1.3 a refusal of ours comes after the handshake
    except ssl.SSLCertVerificationError as error:
        code = GENERIC if error.verify_code in OUT_OF_DATE else INSTALLED
        said = f"its certificate is refused by {values['ca_file']}: {error.verify_message.rstrip('.')}"
        raise OcfError(code, f"TLS with {who}: {said}; {GOOD_FOR_ALL}") from error
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            said = f"it refuses {values['certificate']}: {error.reason}"
            raise OcfError(INSTALLED, f"TLS with {who}: {said}; {GOOD_FOR_ALL}") from error
        said = f"it speaks none at {where[0]}:{where[1]}; `encryption` is for all members at once, or for none"
        raise OcfError(GENERIC, f"TLS with {who}: {said}") from error
    except OSError:
        return


def refusal(certificate: str, key: str, ca_file: str, name: str) -> str:
    """Why a peer, or this process itself, cannot take the files, and what to do; empty when all is well."""
    import ssl

    for path in (certificate, key, ca_file):
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError as error:
            user = pwd.getpwuid(os.geteuid()).pw_name
            return f"{path} cannot be read by {user} ({error.strerror}): give it to {user}, or to its group"
    try:
        client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client.check_hostname = bool(name)
        for side in (client, server):
            side.verify_mode = ssl.CERT_REQUIRED
            side.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"key {key} does not belong to certificate {certificate}: put the pair there that was made together"
        return f"{certificate} with {key} is no certificate with its unencrypted key, in PEM: {error.reason or error}"
    try:
        for side in (client, server):
            side.load_verify_locations(ca_file)
        _shake_hands(client, server, name)
    except ssl.SSLCertVerificationError as error:
        return (
            f"{error.verify_message.rstrip('.')}: certificate {certificate} by authority {ca_file}; put one there that "
            f"it has signed{f' for {name}' if name else ''}, for client and server, and that is valid today"
        )
    except ssl.SSLError as error:
        return f"authority {ca_file} or certificate {certificate} is not fit for TLS: {error.reason or error}"
    return ""


def _shake_hands(client: "ssl.SSLContext", server: "ssl.SSLContext", name: str) -> None:
    """A handshake in memory; SSLError when one side refuses the other."""
    import ssl

    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there, server_hostname=name or None),
        server.wrap_bio(there, back, server_side=True),
    )
    for _ in range(ROUNDS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def as_user(user: str, work: "Callable[[], str]") -> str:
    """What `work` says in a process of `user` (empty: ours); what went wrong, if it ends otherwise."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "it ended as it began"
        try:
            if user:
                become(user)
            said = work()
        except BaseException as error:
            said = f"TLS files cannot be looked at as {user}: {error!r}"
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return said
