"""Nothing that a site may say changes the shape of a file, and the same site always gives the same bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from render_sites import KEY, TIMINGS

from vimha.errors import VimhaError
from vimha.render.cib import Clone, Group
from vimha.render.environment import comment, fill, plain
from vimha.render.render import render
from vimha.render.resources import build
from vimha.render.schema import check_schema
from vimha.site.model import Bmc, Bond, Fencing, Node, Plane, Policy, Role, Scale, Service, Site, Spares, Vip

NAME = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
INTERFACE = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", fullmatch=True)
PATH = st.from_regex(r"/[A-Za-z0-9._/+@=-]{1,40}", fullmatch=True)


SPARES = st.builds(Spares, active=st.integers(1, 5), spare=st.integers(0, 5))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Whatever the model's patterns let through, with addresses in order."""
    names = draw(st.lists(NAME, min_size=2, max_size=4, unique=True))
    planes = draw(st.lists(NAME, min_size=1, max_size=2, unique=True))
    services = draw(
        st.lists(
            NAME | st.sampled_from(["front", "haproxy", "ports", "vip-a", "a-clone", "a"]), max_size=3, unique=True
        )
    )
    nodes = {
        name: Node.model_validate({
            "addresses": {plane: f"10.{index}.0.{number}" for index, plane in enumerate(planes)},
            "bmc": Bmc.model_validate({"address": f"10.9.0.{number}"}) if draw(st.booleans()) else None,
            "role": Role.ARBITER if number > 2 and draw(st.booleans()) else Role.FULL,
            "rack": draw(st.from_regex(r"[A-Za-z0-9._:/-]{0,64}", fullmatch=True)),
            "ports": draw(st.none() | st.tuples(INTERFACE, INTERFACE)),
        })
        for number, name in enumerate(names, 1)
    }  # fmt: skip
    return Site(
        site=draw(NAME),
        scale=draw(st.sampled_from(Scale)),
        planes={
            plane: Plane.model_validate({"subnet": f"10.{index}.0.0/24"}) for index, plane in enumerate(planes)
        },
        bond=draw(st.none() | st.builds(Bond, name=INTERFACE)),
        nodes=nodes,
        fencing=draw(st.builds(Fencing, password_file=PATH, ca_file=st.just("") | PATH)),
        vips={name: Vip.model_validate({"address": f"10.0.0.{100 + number}"})
              for number, name in enumerate(draw(st.lists(NAME, min_size=1, max_size=3, unique=True)))},
        services={
            name: Service(
                policy=draw(st.none() | st.sampled_from(Policy) | SPARES), port=9000 + number, config=draw(PATH)
            )
            for number, name in enumerate(services)
        },
        vip_policy=draw(st.none() | SPARES),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(sites())
def test_any_site_renders_to_valid_xml_and_twice_the_same(of: Site) -> None:
    first, second = render(of, TIMINGS, KEY), render(of, TIMINGS, KEY)
    assert first == second
    etree.fromstring(first.cib.content)
    found = {finding.code for finding in check_schema(first.cib.content)}
    assert found - {"R003"} == ({"R004"} if _clashes(of) else set())
    assert "R004" in found or not found


def _clashes(of: Site) -> bool:
    """Whether the name of a resource is used twice: the model cannot know what vimha makes itself."""
    cib = build(of, TIMINGS)
    inner = [
        member.id for each in cib.resources
        for member in (each.members if isinstance(each, Group) else [each.child] if isinstance(each, Clone) else [])
    ]  # fmt: skip
    names = [*inner, *(each.id for each in (*cib.resources, *cib.fencing))]
    return len(set(names)) < len(names)


HOSTILE = '<x a="1"&b>\'--> ]]> {{ 7*7 }} \n\t}'


def test_xml_escapes_whatever_it_is_given() -> None:
    from vimha.render.cib import Cib, Op, Primitive

    evil = Primitive("id", "ocf:x:y", {"name": HOSTILE}, (Op("stop", 1),))
    cib = Cib((), {}, {}, {}, (), (evil,), (), (), (), (), (), (), ())
    root = etree.fromstring(fill("cib/cib.xml.j2", xml=True, made_by=HOSTILE, cib=cib))
    value = root.findall(".//primitive/instance_attributes/nvpair")[0].get("value")
    assert value is not None and value.split() == HOSTILE.split(), "XML makes any white space in a value a blank"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a#b", "a{b", "a;b", "a$b", "a`b", "a'b", 'a"b', "a\\b", "ä", "a\0b"])
def test_a_line_format_refuses_what_it_cannot_carry(bad: str) -> None:
    with pytest.raises(VimhaError, match="cannot be written"):
        plain(bad)
    with pytest.raises(VimhaError, match="cannot be written"):
        fill("sysctl/60-vimha.conf.j2", made_by=bad)


@given(st.text("-a> ", max_size=20))
def test_a_comment_never_ends_early(text: str) -> None:
    assert "--" not in comment(text)


def test_a_missing_value_is_an_error_not_an_empty_line() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        fill("glance/bind.conf.j2", made_by="x", address="10.0.0.1")
