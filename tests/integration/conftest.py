"""Our custom resources on the real API server, and objects of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from devenv.controlplane import ControlPlane
from tests.integration.kubectl import Namespace, done
from tests.integration.manifests import ACCOUNT, CLUSTER, CONTEXT, INSTANCE, SERVICE, SIMULATED

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="module")
def crds(control_plane: ControlPlane) -> ControlPlane:
    done(control_plane.kubectl("apply", "-f", str(CRDS)))
    done(control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS)))
    return control_plane


@pytest.fixture(scope="module")
def namespace(crds: ControlPlane) -> Iterator[Namespace]:
    name = f"manifests-{uuid4().hex[:8]}"
    done(crds.kubectl("create", "namespace", name))
    yield Namespace(crds, name)
    done(crds.kubectl("delete", "namespace", name))


@pytest.fixture(scope="module")
def objects(namespace: Namespace) -> Namespace:
    """A namespace with an object of every kind."""
    for manifest in (ACCOUNT, SIMULATED, CONTEXT, CLUSTER, SERVICE, INSTANCE):
        done(namespace.apply(manifest))
    return namespace
