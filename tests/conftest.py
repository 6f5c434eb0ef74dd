"""What tests of every kind share: the control plane, one for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv import controlplane
from devenv.controlplane import ControlPlane
from devenv.openstack import OpenStack
from devenv.process import Supervisor


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server; which one, `devenv.controlplane` says. It ends with the test run, however that ends."""
    supervisor = Supervisor(tmp_path_factory.mktemp("control-plane"), tied=True)
    with controlplane.choose(supervisor, tied=True) as plane:
        yield plane


@pytest.fixture(scope="session")
def openstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStack]:
    """Two regions of real services, for tests that are marked so. They end with the test run, however that ends."""
    with OpenStack(tmp_path_factory.mktemp("openstack"), regions=2) as cloud:
        yield cloud
