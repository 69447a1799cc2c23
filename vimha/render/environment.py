"""Jinja2, set up so that no value can change the shape of what it is written into.

Invariant: in XML every value is escaped; in the line formats (corosync.conf, haproxy.cfg, sysctl, ini, shell), which
have no escape that all their readers share, a value with any character beyond plain words is refused.
"""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import cib_templates
from vimha.errors import VimhaError

_PLAIN = re.compile(r"[A-Za-z0-9 ._/:+@=,-]*")
"""What has no meaning of its own in any of the line formats; the site model lets nothing else through."""
_FOLDER = Path(cib_templates.__file__).parent


def plain(value: object) -> object:
    """`value` as it is; VimhaError when a line format cannot carry it."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise VimhaError(f"{value!r} cannot be written into a configuration file", "Use plain words and digits.")
    return value


def comment(text: str) -> str:
    """`text` fit for an XML comment, which may hold no two dashes in a row (XML 1.0, 2.5)."""
    return re.sub(r"-(?=-)", "- ", text)


def nest(text: Markup, width: int) -> Markup:
    """`text`, XML already, with each line moved right. (Jinja's own `indent` escapes line by line what is escaped: half
    of the time that a CIB of 1,000 resources takes.)
    """
    margin = " " * width
    return Markup(margin + str(text).replace("\n", f"\n{margin}"))  # noqa: S704


@cache
def environment(*, xml: bool) -> Environment:
    """The templates of cib_templates, for XML or for the line formats; compiled once per process."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=xml,  # noqa: S701 (the line formats are guarded by `plain`)
        finalize=None if xml else plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["comment"] = comment
    made.filters["nest"] = nest
    return made


def fill(template: str, *, xml: bool = False, **values: object) -> bytes:
    """The template cib_templates/`template` with `values`, as bytes."""
    return environment(xml=xml).get_template(template).render(values).encode()
