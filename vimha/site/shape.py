"""Plain data to a `Site`: short forms written out, every mismatch with the model told in our words.

Invariant: all mismatches are reported together, each once, at its line. Where the file's meaning can be guessed (a
misspelt key or word, a bare number for a duration) the guess goes on in its place, and where it cannot the value is
left out, so that the rules that need the whole site can still speak; `Shaped.broken` lists those places, about which
the rules keep silent.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from pydantic import ValidationError

from vimha.findings import Finding
from vimha.site import rules, schema
from vimha.site.mismatch import cut, guess_word, misfit, missing, show, spell, unknown
from vimha.site.model import Site
from vimha.site.yamltext import Path, Places

_ROUNDS = 8
"""Validations of one file: a repair can uncover a further mismatch, at most once per level of the model."""

MAX_TOLD = 200
"""Mismatches that are told one by one."""


@dataclass
class Shaped:
    """What became of the data: `site` when it (or its repaired form) fits the model."""

    site: Site | None = None
    findings: list[Finding] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Repair:
    """What to do about the value at `path`: put `value` there, under the name `rename`; leave it out when None."""

    path: Path
    value: Any = None
    rename: str | None = None


def shape(data: Any, places: Places) -> Shaped:
    """The site in `data`; `data` is changed while it is repaired, and `places` learns the written-out short forms."""
    shaped = Shaped()
    if not isinstance(data, dict):
        message = f"{show(data)}; expected: {schema.expected(Site)}" if data is not None else "the file is empty"
        shaped.findings.append(rules.WRONG_TYPE.finding(places.at(()), message))
        return shaped
    for _ in range(_ROUNDS):
        write_out(data, places, shaped)
        try:
            shaped.site = Site.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            kinds = _mismatches(error)
            if len(kinds) > MAX_TOLD:
                _tell_some(kinds, data, places, shaped)
                break
            _forget_followers(kinds, data)
            repairs = [_tell(kind, path, data, places, shaped) for path, kind in kinds.items()]
            for repair in sorted(repairs, key=lambda each: [str(step).zfill(9) for step in each.path], reverse=True):
                _apply(repair, data, shaped)
        else:
            break
    return shaped


def _mismatches(error: ValidationError) -> dict[Path, str]:
    """The kind of each mismatch in `error`, by its path. Of a value that may be of several kinds, only what is said
    about the kind that it is.
    """
    kinds: dict[Path, str] = {}
    for entry in error.errors(include_url=False, include_context=False, include_input=False):
        kinds.setdefault(_path(entry["loc"], entry["type"]), entry["type"])
    around = {path[:length] for path in kinds for length in range(1, len(path))}
    return {path: kind for path, kind in kinds.items() if not (path in around and schema.is_choice(path))}


def _tell_some(kinds: dict[Path, str], data: dict[str, Any], places: Places, shaped: Shaped) -> None:
    """Report the first mismatches of a file that has very many, and how many more there are."""
    for path in list(kinds)[:MAX_TOLD]:
        _tell(kinds[path], path, data, places, shaped)
    path = list(kinds)[MAX_TOLD]
    more = f"{len(kinds) - MAX_TOLD} more values do not fit, {spell(path)} the first of them"
    shaped.findings.append(rules.MORE.finding(places.at(path), more))


def _forget_followers(kinds: dict[Path, str], data: dict[str, Any]) -> None:
    """Take from `kinds` what only follows from another mismatch: a missing key whose misspelt twin is there, and
    planes that could not be inferred from bad nodes.
    """
    absent = [path for path, kind in kinds.items() if kind == "missing"]
    if any(path[0] == "nodes" for path in kinds):
        kinds.pop(("planes",), None)
    for path in absent:
        extra = [other for other, kind in kinds.items() if kind == "extra_forbidden" and other[:-1] == path[:-1]]
        if any(guess_word(str(other[-1]), [str(path[-1])]) for other in extra):
            kinds.pop(path, None)


def write_out(data: dict[str, Any], places: Places, shaped: Shaped) -> None:
    """Replace `data`'s short forms by their long ones: `vip`, VIPs and planes as one word, addresses as a list,
    planes that are not declared at all, and `arp_interval` alone, which switches MII monitoring off as in the kernel.
    """
    if "vip" in data:
        if "vips" in data:
            shaped.findings.append(rules.SHORT_AND_LONG.finding(places.at(("vip",)), "`vip` and `vips` are both given"))
            shaped.broken.append(("vips",))
        else:
            places.alias(("vips", "public"), ("vip",))
            data["vips"] = {"public": data["vip"]}
        del data["vip"]
    bond = data.get("bond")
    if isinstance(bond, dict) and bond.get("arp_interval") and "miimon" not in bond:
        bond["miimon"] = "0s"
    _write_out_words(data.get("vips"), "address")
    _write_out_words(data.get("planes"), "subnet")
    nodes = data.get("nodes")
    if not isinstance(nodes, dict):
        return
    for node in nodes.values():
        if isinstance(node, dict) and isinstance(node.get("addresses"), str):
            node["addresses"] = [node["addresses"]]
        if isinstance(node, dict) and isinstance(node.get("bmc"), str):
            node["bmc"] = {"address": node["bmc"]}
    if "planes" not in data:
        _infer_planes(data, nodes, places)
    planes = data.get("planes")
    if not isinstance(planes, dict):
        return
    for name, node in nodes.items():
        if isinstance(node, dict) and isinstance(node.get("addresses"), list):
            _name_addresses(node, ("nodes", name, "addresses"), list(planes), places, shaped)


def _write_out_words(entries: Any, key: str) -> None:
    if isinstance(entries, dict):
        for name, value in entries.items():
            if isinstance(value, str):
                entries[name] = {key: value}


def _infer_planes(data: dict[str, Any], nodes: dict[str, Any], places: Places) -> None:
    """Planes a, b, ... from the /24 networks of the addresses of the first full node that has good ones."""
    for name, node in nodes.items():
        addresses = node.get("addresses") if isinstance(node, dict) and node.get("role") != "arbiter" else None
        if not addresses or not isinstance(addresses, dict | list):
            continue
        steps: list[str | int] = [*addresses] if isinstance(addresses, dict) else [*range(len(addresses))]
        planes = dict(zip(steps if isinstance(addresses, dict) else "abcdefgh", steps, strict=False))
        try:
            subnets = {plane: str(IPv4Network(f"{addresses[step]}/24", strict=False)) for plane, step in planes.items()}
        except ValueError:
            continue
        for plane, step in planes.items():
            places.alias(("planes", plane), ("nodes", name, "addresses", step))
        data["planes"] = {plane: {"subnet": subnet} for plane, subnet in subnets.items()}
        return


def _name_addresses(node: dict[str, Any], path: Path, planes: Sequence[str], places: Places, shaped: Shaped) -> None:
    """A list of addresses as a mapping by plane."""
    addresses = node["addresses"]
    if len(addresses) > len(planes):
        extra = cut(", ".join(str(address) for address in addresses[len(planes) :]))
        message = f"{len(addresses)} addresses for {len(planes)} planes ({', '.join(planes)}): {extra} belongs to none"
        shaped.findings.append(rules.NO_ADDRESS.finding(places.at((*path, len(planes))), message))
        shaped.broken.append(path)
    for position, plane in enumerate(planes[: len(addresses)]):
        places.alias((*path, plane), (*path, position))
    node["addresses"] = dict(zip(planes, addresses, strict=False))


def _path(loc: tuple[str | int, ...], kind: str) -> Path:
    """pydantic's `loc` as a path of the data: without its markers for union branches and keys."""
    path: Path = ()
    branch = False
    for step in loc:
        if not branch and schema.is_choice(path):
            branch = True
            continue
        branch = False
        marker = step == "[key]" and kind != "extra_forbidden" and schema.is_named(path[:-1])
        if marker or not schema.has_inside(path):
            break
        path = (*path, step)
    return path


def _tell(kind: str, path: Path, data: Any, places: Places, shaped: Shaped) -> _Repair:
    """Report one mismatch, and say how `data` can be repaired so that the next round gets past it."""
    holder: Any = data
    for step in path[:-1]:
        holder = holder[step]
    shaped.broken.append(path)
    if kind == "missing":
        shaped.findings.append(missing(path, places))
        return _Repair(path[:-1])
    value = holder[path[-1]]
    if kind == "extra_forbidden":
        shaped.findings.append(unknown(path, holder, places))
        guess = guess_word(str(path[-1]), [name for name in schema.keys_at(path[:-1]) if name not in holder])
        if guess:
            places.alias((*path[:-1], guess), path)
            shaped.broken.append((*path[:-1], guess))
        return _Repair(path, value, guess)
    finding, meant = misfit(path, value, places)
    shaped.findings.append(finding)
    return _Repair(path, meant)


def _apply(repair: _Repair, data: Any, shaped: Shaped) -> None:
    """Carry out `repair`, unless what it is about is gone already."""
    holder: Any = data
    for step in repair.path[:-1]:
        if isinstance(holder, dict) and step not in holder:
            return
        holder = holder[step]
    path = repair.path
    if not path or (isinstance(holder, dict) and path[-1] not in holder):
        return
    if repair.rename:
        holder[repair.rename] = repair.value
        del holder[path[-1]]
    elif repair.value is not None and repair.value != holder[path[-1]]:
        holder[path[-1]] = repair.value
    elif schema.required(path):
        shaped.broken.append(path[:-1])
        _apply(_Repair(path[:-1]), data, shaped)
    else:
        del holder[path[-1]]
