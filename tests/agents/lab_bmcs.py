"""The lab's real BMCs, Redfish and IPMI, around a fake Power: for the fence agents' tests and their benchmark.

The BMCs listen on loopback addresses of a network namespace of their own.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fake_power import FakePower

from vimha.lab.bmc import BmcConfig, Endpoint, new_password, tls
from vimha.lab.bmc.server import serving
from vimha.render.agents import install

NETNS = f"vh-test-bmc-{os.getpid()}"
NODES = ("c1", "c2", "c3")
ALL = ("fence_vimha_redfish", "fence_redfish", "fence_ipmilan")
"""Ours, and Debian's two that a site may name."""


class Fence:
    """Runs fence agents in the BMCs' namespace, with our own agent installed over Debian's files, for them alone."""

    def __init__(self, folder: Path, config: BmcConfig) -> None:
        self.folder = folder
        self.config = config

    def command(self, *argv: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command that sees /usr/sbin/fence_vimha_redfish."""
        overlays = "".join(
            f"mount -t overlay none -o lowerdir={self.folder}/root{path}:{path} {path} && "
            for path in ("/usr/sbin", "/usr/lib")
        )
        enter = ["ip", "netns", "exec", NETNS, "unshare", "--mount", "--"]
        return subprocess.run(
            [*enter, "/bin/sh", "-c", overlays + 'exec "$@"', "sh", *argv],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def options(self, agent: str, node: str) -> dict[str, str]:
        """What the cluster would configure for `node`."""
        endpoint = next(entry for entry in self.config.endpoints if entry.node == node)
        common = {"ip": endpoint.address, "username": self.config.username, "plug": node}
        script = {"password_script": str(self.folder / "script")}
        if agent == "fence_ipmilan":
            return {**common, **script, "lanplus": "1", "cipher": "3", "power_wait": "0"}
        if agent == "fence_redfish":
            return {**common, **script, "ssl_insecure": "1", "systems_uri": endpoint.system}
        files = {"password_file": str(self.config.password_file), "ssl_ca": str(self.folder / "ca.pem")}
        return {**common, **files, "systems_uri": endpoint.system}

    def act(self, agent: str, action: str, node: str, **given: str) -> "subprocess.CompletedProcess[str]":
        """One action as Pacemaker asks for it: options on standard input."""
        options = {**self.options(agent, node), "action": action, "nodename": node, **given}
        return self.command(agent, stdin="".join(f"{key}={value}\n" for key, value in options.items()))


@contextmanager
def bmcs(power: FakePower, folder: Path) -> Iterator[Fence]:
    """Three BMCs that switch `power`, their files in `folder`, and the door to run fence agents against them."""
    install(folder / "root")
    secret = new_password()
    for name, text, mode in (("password", secret, 0o600), ("script", f"#!/bin/sh\necho {secret}\n", 0o700)):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    endpoints = tuple(Endpoint(node, f"127.0.0.{11 + number}") for number, node in enumerate(NODES))
    pair = tls.make_certificate(folder, tls.make_ca(folder), [endpoint.address for endpoint in endpoints])
    config = BmcConfig(folder / "state", endpoints, "vimha", folder / "password", pair.certificate, pair.key, NETNS)
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        subprocess.run(["ip", "-n", NETNS, "link", "set", "lo", "up"], check=True)
        with serving(power, config):
            yield Fence(folder, config)
    finally:
        subprocess.run(["ip", "netns", "delete", NETNS], check=True)
