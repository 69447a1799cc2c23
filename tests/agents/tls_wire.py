"""What a stranger and a peer see of a port that should speak TLS, by openssl s_client."""

import re

from vimha.process import run


def shown(netns: str, where: str, *options: str) -> tuple[str, bool]:
    """The name in the certificate that `where` (ADDRESS:PORT) shows to a client in the namespace `netns`, empty when it
    speaks no TLS; and whether it lets a client in that has `options` (a certificate, or none).
    """
    argv = ["ip", "netns", "exec", netns, "openssl", "s_client", "-connect", where, *options]
    said = run(["sh", "-c", '(sleep 0.5) | timeout 5 "$@"', "sh", *argv], timeout_s=10)
    text = said.out + said.err
    found = re.search(r"^subject=.*CN = vimha lab (\S+)$", text, re.MULTILINE)
    return found[1] if found else "", "alert" not in text


def refused(netns: str, where: str) -> bool:
    """True when `where` shows a certificate, but talks with nobody who has none."""
    name, let_in = shown(netns, where)
    return bool(name) and not let_in
