from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.audit import AuditLog, Write

STATUS_PATCH: dict[str, Any] = {
    "kind": "Event",
    "level": "Metadata",
    "stage": "ResponseComplete",
    "requestURI": "/apis/cloudherd.dev/v1alpha1/namespaces/n/instances/i/status?fieldManager=cloudherd-agent",
    "verb": "patch",
    "userAgent": "python/3.11 aiohttp",
    "objectRef": {
        "apiGroup": "cloudherd.dev",
        "resource": "instances",
        "subresource": "status",
        "namespace": "n",
        "name": "i",
    },
    "responseStatus": {"metadata": {}, "code": 200},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.touch()
    return path


def log(path: Path, *events: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_a_write_tells_what_was_written_by_whom_and_how_it_ended(path: Path) -> None:
    log(path, STATUS_PATCH)
    assert AuditLog(path).writes() == [
        Write("patch", "cloudherd.dev", "instances", "status", "n", "i", 200, "python/3.11 aiohttp", "cloudherd-agent")
    ]


def test_without_a_field_manager_the_user_agents_first_word_stands_for_it(path: Path) -> None:
    log(path, {**STATUS_PATCH, "requestURI": "/api/v1/namespaces", "userAgent": "kubectl/v1.36.2 (linux/amd64)"})
    assert AuditLog(path).writes()[0].manager == "kubectl"


def test_only_what_came_after_a_position_is_read(path: Path) -> None:
    audit = AuditLog(path)
    log(path, STATUS_PATCH)
    before = audit.position()
    log(path, {**STATUS_PATCH, "verb": "delete"})
    assert [write.verb for write in audit.writes(before)] == ["delete"]


def test_a_line_that_is_still_being_written_is_left_for_later(path: Path) -> None:
    log(path, STATUS_PATCH)
    with path.open("a") as file:
        file.write('{"verb": "del')
    assert [write.verb for write in AuditLog(path).writes()] == ["patch"]
