"""The BMC process: every node's Redfish and IPMI, until SIGTERM.

Invariant: the ready file exists only while every BMC answers; whatever way the process ends, its ipmi_sims end.
"""

import ctypes
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from werkzeug.serving import BaseWSGIServer

from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.lab.bmc import ipmi, redfish
from vimha.lab.bmc.config import BmcConfig
from vimha.lab.bmc.switch import Switch, log
from vimha.lab.power import Power

_CLONE_NEWNET = 0x40000000
"""From <linux/sched.h>; os.setns comes with Python 3.12."""


def serve(power: Power, config: BmcConfig) -> None:
    """Serve the BMCs of `config` over `power` until SIGTERM or SIGINT; blocks, from the main thread.

    VimhaError when an address is taken, a certificate is missing or ipmi_sim does not start.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    with serving(power, config):
        log.info("%d BMCs ready", len(config.endpoints))
        stop.wait()
    log.info("ended")


@contextmanager
def serving(power: Power, config: BmcConfig) -> Iterator[None]:
    """The BMCs, for as long as the block runs; inside it, every one of them answers."""
    config.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    switch = Switch(power, [endpoint.node for endpoint in config.endpoints], config.post_s)
    app = redfish.application(config, switch)
    socket_path = config.folder / "chassis.sock"
    with ExitStack() as stack:
        _run(stack, ipmi.ChassisServer(socket_path, switch))
        with _inside(config.netns):
            listeners = redfish.listeners(config, app)
            for simulator in ipmi.start_simulators(config, socket_path):
                stack.callback(simulator.wait, timeout=5)
                stack.callback(simulator.terminate)
            for endpoint in config.endpoints:
                ipmi.wait_answering(endpoint)
        # Only now: a thread is born into its maker's namespace, and Power is to be called from the host's.
        for listener in listeners:
            _run(stack, listener)
        stack.callback(config.ready_file.unlink, missing_ok=True)
        write_atomic(config.ready_file, f"{os.getpid()}\n")
        yield


def _run(stack: ExitStack, server: ipmi.ChassisServer | BaseWSGIServer) -> None:
    """Let `server` serve in a thread until the stack unwinds."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


@contextmanager
def _inside(netns: str) -> Iterator[None]:
    """This thread in the named network namespace: sockets and processes that are made here stay in it."""
    if not netns:
        yield
        return
    with _namespace(Path("/proc/thread-self/ns/net")) as home, _namespace(Path("/run/netns") / netns) as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)


@contextmanager
def _namespace(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise VimhaError(f"no network namespace {path}: {error.strerror}") from error
    try:
        yield handle
    finally:
        os.close(handle)


def _enter(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET):
        raise VimhaError(f"cannot enter the BMCs' network namespace: {os.strerror(ctypes.get_errno())}")
