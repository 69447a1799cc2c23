"""For tests that ask Pacemaker's own scheduler: they say so when it is not installed."""

import pytest

from vimha.cluster.validate import has_simulator

needs_pacemaker = pytest.mark.skipif(not has_simulator(), reason="needs crm_simulate (Debian: pacemaker-cli-utils)")
