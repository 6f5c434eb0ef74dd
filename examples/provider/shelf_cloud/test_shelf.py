"""The suite that a provider must pass: run it with `pytest --pyargs shelf_cloud`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.protocol import Connection
from shelf_cloud import Shelf


class TestShelf(ProviderConformance):
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> CloudUnderTest:
        def shelf(file: str) -> Connection:
            return Connection("physics.shelf", options={"file": str(tmp_path / file)})

        def user_data(vm_id: str) -> bytes:
            """Read at the cloud itself, not through the driver."""
            number = vm_id.removeprefix("vm-")
            cloud = sqlite3.connect(tmp_path / "shelf.db")
            (request,) = cloud.execute("SELECT request FROM vm WHERE number = ?", (number,)).fetchone()
            cloud.close()
            return bytes.fromhex(json.loads(request)["user_data"])

        return CloudUnderTest(
            provider=Shelf(),
            connection=shelf("shelf.db"),
            flavor="box",
            image="plain",
            absent_flavor="barrel",
            absent_image="fancy",
            absent_vm="vm-999",
            user_data=user_data,
            elsewhere=shelf("another.db"),
            dead=lambda: shelf("no/such/directory.db"),
        )
