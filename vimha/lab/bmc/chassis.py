"""The program that an ipmi_sim runs for each look at, or change of, its chassis' power.

Run by /usr/bin/python3 -IS as `chassis.py SOCKET NODE get power` or `... set power 0|1` / `set reset 1`; passes the
wish to the BMC process and prints `power:0|1`. Invariant: imports nothing but `_socket`, since ipmitool waits.
"""

import _socket
import sys

WISHES = {("power", "0"): "off", ("power", "1"): "on", ("reset", "1"): "cycle"}


def ask(path: str, line: str) -> str:
    """Send `line` to the BMC process at the socket `path`; its one-line answer, or "" when it gives none."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(path)
    sock.send(line.encode() + b"\n")
    return sock.recv(64).decode().strip()


def main(argv: list[str]) -> int:
    """0 when the BMC process did it, 1 otherwise (then ipmi_sim answers with an error)."""
    path, node, verb, *rest = argv
    if verb == "get" and rest == ["power"]:
        state = ask(path, f"get {node}")
        print(f"power:{state}")
        return 0 if state in ("0", "1") else 1
    wish = WISHES.get(tuple(rest[:2])) if verb == "set" else None  # type: ignore[arg-type]
    return 0 if wish and ask(path, f"{wish} {node}") == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
