"""Writes docs/site.md, docs/findings.md and docs/alarm-catalogue.md from the code: `make docs`.

Invariant: the same code gives the same text, and nothing in it is written twice: keys, types, defaults and meanings are
read off the model of site.yaml, findings off every room's rules, alarms off the catalogue.
"""

import ast
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import vimha
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Definition
from vimha.alarms.sources.severities import TABLE
from vimha.alarms.words import ClearingType, Severity
from vimha.findings import Rule
from vimha.site import model, schema
from vimha.site.units import Milliseconds, show_ms

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Top level", "", model.Site),
    ("planes", "planes.NAME", model.Plane),
    ("bond", "bond", model.Bond),
    ("nodes", "nodes.NAME", model.Node),
    ("bmc", "nodes.NAME.bmc", model.Bmc),
    ("fencing", "fencing", model.Fencing),
    ("vips", "vips.NAME", model.Vip),
    ("N+M", "policy", model.Spares),
    ("services", "services.NAME", model.Service),
    ("database", "database", model.Database),
    ("messaging", "messaging", model.Messaging),
    ("encryption", "encryption", model.Encryption),
    ("alarms", "alarms", model.Alarms),
    ("timings", "timings", model.Pinned),
)
FAMILIES = {
    "S": "The site",
    "T": "Timings",
    "R": "Rendered artefacts",
    "C": "Cluster configuration",
    "P": "Policy: what the scheduler would do",
    "F": "Fencing",
}
HEAD = "<!-- Written by docs/generate.py (`make docs`): change the code, not this file. -->\n"

SITE_INTRO = """
# site.yaml

What an operator declares; vimha computes everything else from it. `vimha init` writes a commented starter,
`vimha validate` tells everything that is wrong with a file at once, [by code](findings.md).

The smallest site:

```yaml
{minimal}```

## How to write it

- A file is plain YAML of at most 1 MiB: mappings, lists and words, without anchors, aliases or tags. `on` and
  `no` are words.
- A duration is a whole number with its unit: `500ms`, `5s`. `0.5s` is refused, because Pacemaker drops such a monitor
  without a word.
- A name has lower-case letters, digits and dashes, a letter first, at most 31.
- Short forms: `vip: ADDRESS` for one VIP called `public`; `vips: {{NAME: ADDRESS}}`; `planes: {{NAME: SUBNET}}`;
  `bmc: ADDRESS`; a node's `addresses` as a list in the planes' order, or as one address.
- Without `planes`, they are the /24 networks of the first full node's addresses, called a, b, ...
- `bond: {{arp_interval: ...}}` without `miimon` switches miimon off, as the kernel does.
"""

FINDINGS_INTRO = """
# Findings

Every finding that vimha can report, by code. An **error** refuses the site or the configuration; a **warning** is a
risk that an operator may take; an **info** only tells. `vimha validate --format json` prints them as data; the exit
code is 1 when there is an error.
"""

ALARMS_INTRO = """
# The catalogue of alarms

Every alarm that vimha raises, and those that it knows from other monitors. An alarm's `alarmDefinitionId` and its
`faultType` are the name here; names go from the general to the special, so a subscription may name a beginning, such as
`control.service.*`. Two reports are the same alarm when managed object, event type, probable cause and specific problem
are.

*Cleared by itself*: what raised the alarm also ends it. *Cleared by an operator*: `vimha alarms clear`.

| alarm | severity | about | when |
|---|---|---|---|
"""
SEVERITIES_INTRO = """
## What other systems call a severity

What the words of other systems mean, in upper or lower case; a word that is not here is INDETERMINATE:

"""


def site_reference() -> str:
    """docs/site.md."""
    parts = [HEAD, SITE_INTRO.format(minimal=(EXAMPLES / "site-minimal.yaml").read_text())]
    for title, path, declared in SECTIONS:
        where = f" (`{path}`)" if path and path != title else ""
        parts.append(f"\n## {title}{where}\n\n{inspect.getdoc(declared)}\n")
        parts.append("\n| key | expects | default | meaning |\n|---|---|---|---|\n")
        parts.extend(_rows(declared))
    return "".join(parts)


def _rows(declared: type[BaseModel]) -> Iterator[str]:
    meanings = _field_docs(declared)
    for name, hint in schema.hints(declared).items():
        if name not in meanings:
            raise SystemExit(f"{declared.__name__}.{name} has no docstring")
        cells = (f"`{name}`", _expects(hint), _default(declared.model_fields[name], hint), meanings[name])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _expects(hint: Any) -> str:
    """What a key expects; a mapping with a section of its own refers to it."""
    titles = {declared: title for title, _, declared in SECTIONS}
    inner = hint.__args__[1] if getattr(hint, "__origin__", None) is dict else hint
    declared = schema.model_of(inner)
    if declared is None:
        return schema.expected(hint)
    link = f"[{titles[declared]}](#{_anchor(titles[declared], declared)})"
    null = " or null" if schema.takes(hint, None) else ""
    words = f"one of {', '.join(schema.words_of(hint))}, or " if schema.words_of(hint) else ""
    return f"{words}{'a mapping of names to' if inner is not hint else 'a mapping:'} {link}{null}"


def _anchor(title: str, declared: type[BaseModel]) -> str:
    path = {entry: path for _, path, entry in SECTIONS}[declared]
    return title if path == title else f"{title}-{path.replace('.', '').lower()}"


def _default(field: FieldInfo, hint: Any) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if isinstance(value, int) and schema.holds(hint, Milliseconds):
        value = show_ms(value)
    return _shown(value.value if isinstance(value, Enum) else value)


def _shown(value: object) -> str:
    match value:
        case None | "":
            return "null" if value is None else "empty"
        case BaseModel():
            return "its defaults"
        case dict():
            return ", ".join(f"`{name}`" for name in value) + ", with its defaults"
        case tuple():
            return f"`[{', '.join(value)}]`"
    return f"`{value}`"


def _field_docs(declared: type[BaseModel]) -> dict[str, str]:
    """The docstrings beneath a model's fields, each on one line."""
    statements = [*ast.walk(ast.parse(inspect.getsource(declared)))][1]
    body = statements.body if isinstance(statements, ast.ClassDef) else []
    found = {}
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[statement.target.id] = " ".join(text.split())
    return found


def findings_reference() -> str:
    """docs/findings.md."""
    parts = [HEAD, FINDINGS_INTRO]
    rules = all_rules()
    for letter, title in FAMILIES.items():
        family = [rule for rule in rules if rule.code.startswith(letter)]
        if family:
            parts.append(f"\n## {title}\n")
        for rule in family:
            parts.append(f"\n### {rule.code}: {rule.title}\n\n*{rule.severity}.* {rule.why}\n\nRemedy: {rule.remedy}\n")
    return "".join(parts)


def all_rules() -> list[Rule]:
    """The rules of every room that has any, by code."""
    rules: list[Rule] = []
    for room in pkgutil.iter_modules(vimha.__path__, "vimha."):
        if room.ispkg and importlib.util.find_spec(f"{room.name}.rules"):
            rules.extend(importlib.import_module(f"{room.name}.rules").RULES)
    return sorted(rules, key=lambda rule: rule.code)


def alarm_catalogue() -> str:
    """docs/alarm-catalogue.md."""
    known = definitions().values()
    rows = [
        f"| [{each.id}](#{each.id.replace('.', '')}) | {each.severities[0]} | `{each.managed_object}` | "
        f"{each.meaning.partition('. ')[0].removesuffix('.')} |\n"
        for each in known
    ]
    return "".join([HEAD, ALARMS_INTRO, *rows, *map(_alarm, known), SEVERITIES_INTRO, *_severities()])


def _alarm(known: Definition) -> str:
    facts = {
        "Severity": ", ".join(known.severities),
        "Cause": f"{known.probable_cause} ({known.event_type})",
        "About": f"`{known.managed_object}`, {known.resource_type}, fault domain {known.fault_domain}",
        "Service-affecting": "yes" if known.service_affecting else "no",
        "Cleared": "by itself" if known.clearing is ClearingType.AUTOMATIC else "by an operator",
        "Raised by": "other monitors, which post it" if known.external else "vimha",
    }
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"\n## {known.id}\n\n{known.meaning}\n\n{told}\n\nRepair: {known.repair}\n"


def _severities() -> Iterator[str]:
    yield f"| system | {' | '.join(Severity)} |\n|---|{'---|' * len(Severity)}\n"
    for system, words in TABLE.items():
        yield f"| {system} | {' | '.join(', '.join(words.get(each, ())) for each in Severity)} |\n"


if __name__ == "__main__":
    (DOCS / "site.md").write_text(site_reference())
    (DOCS / "findings.md").write_text(findings_reference())
    (DOCS / "alarm-catalogue.md").write_text(alarm_catalogue())
