"""Reading a site.yaml: from a file to a `Site` and everything that is wrong with it, at once.

Invariant: whatever the file holds, `load` returns findings or raises UsageError, in bounded time and memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vimha.errors import UsageError, VimhaError
from vimha.findings import Finding, errors
from vimha.site import rules, yamltext
from vimha.site.check import check, computable
from vimha.site.model import Site
from vimha.site.shape import shape
from vimha.site.yamltext import Places

MAX_BYTES = 1 << 20
"""A site of 1,000 services takes about 60 kB."""


@dataclass(frozen=True)
class Loaded:
    """What a site.yaml holds. `site` is given when the rooms above can compute with it, which findings of severity
    error do not exclude (a VIP outside its plane, say); it is None when the file does not fit the model, or names
    what is not there.
    """

    site: Site | None
    findings: list[Finding]
    lines: Places

    def place(self, findings: Iterable[Finding]) -> list[Finding]:
        """`findings` of rooms above, whose `where` is a key such as `timings.token`, with the key's line instead."""
        placed = []
        for finding in findings:
            path = tuple(finding.where.split("."))
            known = path[0] in Site.model_fields
            placed.append(replace(finding, where=self.lines.at(path)) if known else finding)
        return placed


def load(path: Path) -> Loaded:
    """Read the site.yaml at `path`, with all findings in the file's order; UsageError when it cannot be read."""
    return parse(_content(path), str(path))


def load_valid(path: Path) -> Site:
    """The site at `path`, for commands that need a good one; VimhaError naming the first error when it has any."""
    loaded = load(path)
    bad = errors(loaded.findings)
    if loaded.site is None or bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        first = f"{bad[0].where}: {bad[0].code} {bad[0].message}{more}"
        raise VimhaError(first, f"{bad[0].remedy} All findings: vimha validate {path}")
    return loaded.site


def parse(content: bytes, file: str) -> Loaded:
    """The site in `content`; `file` is what findings call it. Never raises."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        finding = rules.SYNTAX.finding(f"{file}:{line}", "not UTF-8 text", remedy="Save the file as UTF-8.")
        return Loaded(None, [finding], Places(file))
    document = yamltext.read(text, file)
    if not document.readable:
        return Loaded(None, document.findings, document.places)
    shaped = shape(document.data, document.places)
    findings = [*document.findings, *shaped.findings]
    told = bool(findings)
    if shaped.site is not None:
        findings += check(shaped.site, document.places, [*document.broken, *shaped.broken])
    usable = shaped.site is not None and not told and computable(findings)
    findings.sort(key=lambda finding: (_line(finding.where), finding.code))
    return Loaded(shaped.site if usable else None, findings, document.places)


def _line(where: str) -> int:
    last = where.rpartition(":")[2]
    return int(last) if last.isdecimal() else 0


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", f"`vimha init {path}` writes a commented starter.") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a folder, not a file", "Name the site.yaml inside it.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no site.yaml is", "Is this the right file?")
    return content
