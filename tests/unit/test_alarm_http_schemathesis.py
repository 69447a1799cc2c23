"""schemathesis: the service keeps to its OpenAPI document, whatever is asked; a bounded number of tries each."""

from collections.abc import Iterator

import pytest
import schemathesis
from alarm_service import OPERATOR, bearer, served, settings
from hypothesis import HealthCheck
from hypothesis import settings as tries
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from vimha.alarms.service.app import routed

STREAM = "/vimfm/v1/stream"
"""It does not end. A schema cannot say all: filters and times have a grammar, definitions are of the catalogue; so what
fits the schema may still be refused (positive_data_acceptance is left out)."""
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422"]
config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
schema = schemathesis.openapi.from_dict(routed().openapi(), config=config).exclude(path=STREAM)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(settings(tmp_path_factory.mktemp("schemathesis"))) as port:
        yield f"http://127.0.0.1:{port}"


@schema.parametrize()
@tries(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_service_keeps_to_its_document(case: Case, root: str) -> None:
    case.call_and_validate(base_url=root, headers=bearer(OPERATOR), excluded_checks=[positive_data_acceptance])
