"""Helm for the tests of charts/, built from its Go module; nothing else needs it."""

from __future__ import annotations

from pathlib import Path

from devenv import toolchain

VERSION = "v3.19.2"


def program() -> Path:
    return toolchain.installed("helm.sh/helm/v3/cmd/helm", VERSION)
