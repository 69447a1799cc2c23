"""Runs one action of an agent: argument, environment, exit code, exit reason, log.

Invariant: whatever goes wrong ends in an OCF exit code and one line of reason, never in a traceback, and an
environment in which the service cannot exist never makes `stop` fail (which would fence the node).
"""

import _socket
import os
import sys
import time
from _collections_abc import Mapping

from resource_agents.ocf.agent import (
    ARGS,
    CONFIGURED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    OK,
    PERM,
    UNIMPLEMENTED,
    Action,
    Agent,
    Deadline,
    OcfError,
    recurring,
)
from resource_agents.ocf.system import System

SYSLOG = "/dev/log"
REASON = "/run/resource-agents/{resource}.reason"
"""The last action of a resource that did not end well, its exit code, and why."""
FACILITIES = {"user": 1, "daemon": 3, **{f"local{number}": 16 + number for number in range(8)}}
ERROR = 3
INFO = 6


def main(agent_class: type[Agent]) -> None:
    """What a launcher calls: runs the action of sys.argv with os.environ, and ends the process."""
    action = sys.argv[1] if len(sys.argv) > 1 else ""
    if action == "meta-data":
        from resource_agents.ocf.metadata import xml

        code = OK
        sys.stdout.write(xml(agent_class))
    else:
        system = System()
        system.name_process(agent_class.name)
        code, reason = act(agent_class, action, os.environ, system)
        if reason:
            sys.stderr.write(f"{os.environ.get('OCF_EXIT_REASON_PREFIX', 'ocf-exit-reason:')}{reason}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking the interpreter down in order costs a monitor 1 ms and gains it nothing


def act(agent_class: type[Agent], action: str, env: Mapping[str, str], system: System) -> tuple[int, str]:
    """`invoke`, with the standing looks: a start or stop ends them first, a monitor that ended well begins them."""
    if agent_class.looks_s is None or action not in ("start", "stop", "monitor"):
        return invoke(agent_class, action, env, system)
    from resource_agents.ocf import standing

    if action != "monitor":
        standing.end(env, system)
        return invoke(agent_class, action, env, system)
    begun = system.monotonic()
    code, reason = invoke(agent_class, action, env, system)
    every_s = standing.period(env, agent_class.looks_s)
    if every_s and code == OK:
        env = dict(env)
        try:
            look = lambda: invoke(agent_class, action, env, system)[0]  # noqa: E731
            pid = agent_class(env, action, Deadline(0.0, system.monotonic), system).main_pid()
            standing.begin(env, system, every_s, begun, look, main_pid=pid)
        except OSError:
            return code, reason  # /run is full: the next monitor looks itself, as this one did
    return code, reason


def invoke(
    agent_class: type[Agent], action: str, env: Mapping[str, str], system: System | None = None
) -> tuple[int, str]:
    """Run `action` with the environment `env`; its OCF exit code and exit reason (empty: none)."""
    system = system or System()
    declared = {known.name: known for known in agent_class.actions}
    if action not in declared:
        return UNIMPLEMENTED, f"unknown action {action!r}: one of {', '.join(declared)}"
    begun = system.monotonic()
    try:
        agent = agent_class(env, action, Deadline(_seconds(declared[action], env), system.monotonic), system)
        code: int = getattr(agent, action.replace("-", "_"))()
        reason = agent.reason
    except OcfError as failure:
        code, reason = invalid_environment(failure.code, action, env), failure.reason
    except Exception as error:
        code, reason = GENERIC, f"{action}: {type(error).__name__}: {error}"
    reason = " ".join(reason.split())
    if reason and code != OK:
        _leave(env, f"{action} {code} {reason}", system)
    if action in ("start", "stop", "promote", "demote"):
        text = f"{action}: exit {code} after {system.monotonic() - begun:.3f} s{reason and ': '}{reason}"
        log(env, agent_class.name, INFO if code == OK else ERROR, text)
    return code, reason


def _leave(env: Mapping[str, str], text: str, system: System) -> None:
    """Leave why an action did not end well where vimha-alert finds it: Pacemaker tells its alert agents no reasons."""
    resource = env.get("OCF_RESOURCE_INSTANCE", "").partition(":")[0]
    probe = text.startswith("monitor ") and env.get("OCF_RESKEY_CRM_meta_interval", "0") == "0"
    if not resource or probe:
        return
    path = REASON.format(resource=resource)
    try:
        system.write(path, text)
        # Pacemaker runs agents with umask 026, and alerts as hacluster.
        os.chmod(system.root + path, 0o644)  # noqa: PTH101
    except OSError:
        return


def invalid_environment(code: int, action: str, env: Mapping[str, str]) -> int:
    """What to exit with where the resource cannot exist (codes 2, 4, 5, 6).

    stop 0: there is nothing to stop; probe 7: it does not run here; recurring monitor 1: it was here, so recover it;
    any other action: the code itself. (ocf-rarun's handle_invalid_env has the same table.)
    """
    if code not in (ARGS, PERM, INSTALLED, CONFIGURED):
        return code
    if action == "stop":
        return OK
    if action == "monitor":
        return GENERIC if recurring(env) else NOT_RUNNING
    return code


def log(env: Mapping[str, str], name: str, severity: int, text: str, path: str = SYSLOG) -> None:
    """Send one line to the syslog socket, in the facility that Pacemaker uses; never waits, never fails.

    `severity` is syslog's: 3 error, 6 information.
    """
    facility = env.get("HA_LOGFACILITY") or env.get("HA_logfacility") or "daemon"
    if facility == "none":
        return
    line = f"<{FACILITIES.get(facility, 3) * 8 + severity}>{time.strftime('%b %e %H:%M:%S')} "
    line += f"vimha-{name}({env.get('OCF_RESOURCE_INSTANCE', name)})[{os.getpid()}]: {text}"
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.sendto(line.encode(errors="replace"), path)
    except OSError:
        return
    finally:
        sock.close()


def _seconds(action: Action, env: Mapping[str, str]) -> float:
    """The action's time-out: OCF_RESKEY_CRM_meta_timeout (milliseconds), or what the metadata advises."""
    text = env.get("OCF_RESKEY_CRM_meta_timeout", "")
    return int(text) / 1000 if text.isascii() and text.isdecimal() and int(text) else float(action.timeout)
