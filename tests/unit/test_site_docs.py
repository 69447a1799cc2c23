"""The generated pages of docs/ are what the code says today."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_reference_is_up_to_date(generate: ModuleType) -> None:
    assert (DOCS / "site.md").read_text() == generate.site_reference(), "run make docs"


def test_the_findings_reference_is_up_to_date(generate: ModuleType) -> None:
    assert (DOCS / "findings.md").read_text() == generate.findings_reference(), "run make docs"


def test_the_catalogue_of_alarms_is_up_to_date(generate: ModuleType) -> None:
    assert (DOCS / "alarm-catalogue.md").read_text() == generate.alarm_catalogue(), "run make docs"


def test_codes_are_unique_and_belong_to_a_family(generate: ModuleType) -> None:
    codes = [rule.code for rule in generate.all_rules()]
    assert len(codes) == len(set(codes))
    assert {code[0] for code in codes} <= set(generate.FAMILIES)


def test_every_rule_says_why_and_what_to_do(generate: ModuleType) -> None:
    assert [rule.code for rule in generate.all_rules() if not (rule.title and rule.why and rule.remedy)] == []
