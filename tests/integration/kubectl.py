"""kubectl against a control plane, in a namespace of the test's own."""

from __future__ import annotations

from subprocess import CompletedProcess
from typing import Any

import yaml

from devenv.controlplane import ControlPlane
from tests.integration.manifests import Manifest, changed


class Namespace:
    """A namespace of this test's own."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.plane, self.name = plane, name

    def kubectl(self, *arguments: str, **more: Any) -> CompletedProcess[str]:
        return self.plane.kubectl("-n", self.name, *arguments, **more)

    def apply(self, manifest: Manifest, *arguments: str) -> CompletedProcess[str]:
        placed = changed(manifest, {"metadata.namespace": self.name})
        return self.kubectl("apply", *arguments, "-f", "-", input=yaml.safe_dump(placed))

    def patch(self, resource: str, patch: Manifest, *arguments: str) -> CompletedProcess[str]:
        return self.kubectl("patch", resource, "--type=merge", "-p", yaml.safe_dump(patch), *arguments)


def done(answer: CompletedProcess[str]) -> str:
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def refused(answer: CompletedProcess[str], *says: str) -> None:
    assert answer.returncode != 0, f"taken: {answer.stdout}"
    assert [words for words in says if words not in answer.stderr] == [], answer.stderr
