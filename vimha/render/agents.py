"""The resource and fence agents as artefacts: what there is, what their metadata says, and putting them on a node.

Invariant: a node holds exactly this version's agents after `install`, each file whole at any moment, and bytecode
beside the runtime, so that no monitor ever compiles. An agent is a module that defines `AGENT`; nothing else lists it.
"""

import importlib
import pkgutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from types import ModuleType

import fence_agents
import resource_agents
from resource_agents.ocf import standing
from resource_agents.ocf.metadata import xml as ocf_xml
from vimha.errors import UsageError, VimhaError
from vimha.files import write_atomic
from vimha.process import checked, run
from vimha.render.units import UNITS

LIBRARY = PurePosixPath("/usr/lib/vimha")
OCF_FOLDER = PurePosixPath("/usr/lib/ocf/resource.d/vimha")
FENCE_FOLDER = PurePosixPath("/usr/sbin")
VERDICTS = PurePosixPath(standing.FOLDER)
ALERT_FOLDER = LIBRARY / "alerts"
PYTHON = "/usr/bin/python3"
"""Debian's own interpreter: what the agents run under, and so what their bytecode must be for."""

OCF_LAUNCHER = """#!/bin/sh
# vimha: starts the resource agent {name}; written by `vimha agents install`.
# A recurring monitor is answered here while a fresh verdict says that all is well (resource_agents/ocf/standing.py).
''':'
resource=${{OCF_RESOURCE_INSTANCE%%:*}}
case $1/${{OCF_RESKEY_CRM_meta_interval:-0}}/${{OCF_CHECK_LEVEL:-0}}/$resource in
monitor/0/* | */*/*/*/* | */*/*/ | */*/*/.*) ;;
monitor/*/0/*)
    verdict={verdicts}/$resource
    if [ -f "$verdict" ]; then
        {{
            read -r until _ <"$verdict" && read -r now _ </proc/uptime && true >"$verdict:asked" &&
                [ "${{now%.*}}${{now#*.}}" -le "$until" ] && exit 0
        }} 2>/dev/null
    fi
    ;;
esac
exec {python} -IS "$0" "$@"
'''
import sys

sys.path.insert(0, "{library}")
from {module} import AGENT
from resource_agents.ocf.runtime import main

main(AGENT)
"""
"""Both a shell script and, from the line of three quotes on, python: a shell starts in a tenth of python's time."""
FENCE_LAUNCHER = """#!{python} -IS
# vimha: starts the fence agent {name}; written by `vimha agents install`.
import sys

sys.path.insert(0, "{library}")
from {module} import main

main()
"""
ALERT_LAUNCHER = """#!{python} -IS
# vimha: starts the alert agent {name}; written by `vimha agents install`.
import sys

sys.path.insert(0, "{library}")
from {module} import main

main()
"""
ALERTS = {
    "dead_peer": "resource_agents.amqp.dead_peer",
    "vimha-alert": "resource_agents.alert.agent",
    "vimha-drain": "resource_agents.alert.drain",
}
"""Pacemaker's alert agents by name, and the daemon behind one of them (vimha/render/units.py); each is an executable in
ALERT_FOLDER, for `alert path=`.
"""
MARK = b"# vimha: starts the "
"""In the second line of every launcher: how a left-over fence agent in /usr/sbin is known for ours."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as its agent's metadata publishes it."""

    name: str
    kind: str
    default: str
    required: bool
    short: str


@dataclass(frozen=True)
class Action:
    """An action and its advised timings in seconds; None where the metadata says nothing."""

    name: str
    timeout_s: float | None
    interval_s: float | None


@dataclass(frozen=True)
class AgentInfo:
    """An agent: `kind` is `ocf` or `fence`; `full_name` is what the CIB and the cluster tools call it."""

    name: str
    kind: str
    full_name: str
    module: str
    short: str
    long: str
    parameters: tuple[Parameter, ...]
    actions: tuple[Action, ...]
    metadata: str

    @property
    def launcher(self) -> PurePosixPath:
        """Where its launcher is on a node."""
        return (OCF_FOLDER if self.kind == "ocf" else FENCE_FOLDER) / self.name


@dataclass(frozen=True)
class Installed:
    """What an installation changed, as paths on the node; both empty when all was there already."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def agents() -> tuple[AgentInfo, ...]:
    """All agents of this version, resource agents first, by name."""
    found = []
    for package, kind in ((resource_agents, "ocf"), (fence_agents, "fence")):
        for entry in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(entry.name)
            if not entry.ispkg and hasattr(module, "AGENT"):
                found.append(_info(module, kind))
    return tuple(sorted(found, key=lambda agent: (agent.kind != "ocf", agent.name)))


def find(name: str) -> AgentInfo:
    """The agent `name`, with or without its class and provider; UsageError when there is none."""
    known = agents()
    for agent in known:
        if name in (agent.name, agent.full_name, f"vimha:{agent.name}"):
            return agent
    raise UsageError(f"no agent {name!r}", f"There are: {', '.join(agent.name for agent in known)}.")


def _info(module: ModuleType, kind: str) -> AgentInfo:
    text = ocf_xml(module.AGENT) if kind == "ocf" else module.AGENT.metadata()
    root = ET.fromstring(text)  # noqa: S314 (our own agents wrote it)
    name = root.get("name", "")
    return AgentInfo(
        name=name,
        kind=kind,
        full_name=f"ocf:vimha:{name}" if kind == "ocf" else f"stonith:{name}",
        module=module.__name__,
        short=root.get("shortdesc") or root.findtext("shortdesc") or "",
        long=root.findtext("longdesc", ""),
        parameters=tuple(_parameter(element) for element in root.iter("parameter") if not element.get("deprecated")),
        actions=tuple(_action(element) for element in root.iter("action")),
        metadata=text,
    )


def _parameter(element: ET.Element) -> Parameter:
    content = element.find("content")
    attributes = content.attrib if content is not None else {}
    return Parameter(
        name=element.get("name", ""),
        kind=attributes.get("type", "string"),
        default=attributes.get("default", ""),
        required=element.get("required") == "1",
        short=element.findtext("shortdesc", ""),
    )


def _action(element: ET.Element) -> Action:
    return Action(element.get("name", ""), _seconds(element.get("timeout")), _seconds(element.get("interval")))


def _seconds(text: str | None) -> float | None:
    return float(text.removesuffix("s")) if text else None


def install(root: Path = Path("/")) -> Installed:
    """Put launchers, runtimes and bytecode of all agents under `root`, and remove what earlier versions left.

    Repeating it changes nothing. The bytecode is for this host's Debian python; a node with another one still works,
    each monitor then compiles. VimhaError when `root` cannot be written or the bytecode cannot be made.
    """
    wanted = {path: content for path, content, _ in _files()}
    try:
        written = [str(path) for path, content, mode in _files() if _put(root, path, content, mode)]
        removed = [str(path) for path in _strays(root, set(wanted)) if _remove(root, path)]
    except OSError as error:
        raise VimhaError(f"cannot install the agents: {error}", "Run it as root, or give another --root.") from error
    library = _under(root, LIBRARY)
    strip = [] if root == Path("/") else ["-s", str(root), "-p", "/"]
    checked(run([PYTHON, "-I", "-m", "compileall", "-q", *strip, str(library)], timeout_s=120))
    for folder in [library, *library.rglob("*"), _under(root, OCF_FOLDER)]:
        if folder.is_dir():
            folder.chmod(0o755)
    return Installed(tuple(written), tuple(removed))


def _files() -> Iterator[tuple[PurePosixPath, bytes, int]]:
    """Every file that belongs on a node: runtimes first, so that a launcher never starts before its runtime."""
    yield from ((path, text.encode(), 0o644) for path, text in UNITS.items())
    for package in (resource_agents, fence_agents):
        folder = Path(package.__path__[0])
        for source in sorted(folder.rglob("*.py")):
            yield LIBRARY / package.__name__ / source.relative_to(folder).as_posix(), source.read_bytes(), 0o644
    for agent in agents():
        text = launcher(agent) if agent.kind == "ocf" else _fill(FENCE_LAUNCHER, agent.name, agent.module)
        yield agent.launcher, text.encode(), 0o755
    for name, module in ALERTS.items():
        yield ALERT_FOLDER / name, _fill(ALERT_LAUNCHER, name, module).encode(), 0o755


def launcher(agent: AgentInfo, library: PurePath = LIBRARY, verdicts: PurePath = VERDICTS) -> str:
    """The launcher of a resource agent; where its runtime and the verdicts are differs in tests alone."""
    return _fill(OCF_LAUNCHER, agent.name, agent.module, library=library, verdicts=verdicts)


def _fill(template: str, name: str, module: str, **paths: PurePath) -> str:
    return template.format(**{"python": PYTHON, "library": LIBRARY, "name": name, "module": module, **paths})


def _under(root: Path, path: PurePosixPath) -> Path:
    return root / path.relative_to("/")


def _put(root: Path, path: PurePosixPath, content: bytes, mode: int) -> bool:
    """Write one file unless it is there already; True when it was written."""
    target = _under(root, path)
    if target.is_file() and target.read_bytes() == content and target.stat().st_mode & 0o777 == mode:
        return False
    write_atomic(target, content, mode)
    return True


def _strays(root: Path, wanted: set[PurePosixPath]) -> Iterator[PurePosixPath]:
    """Files of ours, bytecode too, that no agent of this version has."""
    for folder in (LIBRARY, OCF_FOLDER):
        base = _under(root, folder)
        for file in sorted(base.rglob("*")) if base.is_dir() else []:
            path = folder / file.relative_to(base).as_posix()
            source = path.parent.parent / f"{path.name.partition('.')[0]}.py" if file.suffix == ".pyc" else path
            if file.is_file() and source not in wanted:
                yield path
    base = _under(root, FENCE_FOLDER)
    for file in sorted(base.glob("fence_vimha_*")) if base.is_dir() else []:
        path = FENCE_FOLDER / file.name
        if path not in wanted and file.is_file() and MARK in file.read_bytes()[:200]:
            yield path


def _remove(root: Path, path: PurePosixPath) -> bool:
    file = _under(root, path)
    file.unlink()
    folder = file.parent
    if not any(folder.iterdir()):
        folder.rmdir()
    return True
