"""What the tests of this folder render with."""

from typing import Any

from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.rendering.render import render

SECRET = "s3cret-Pa55word"

VALUES: dict[str, Any] = {
    "cluster": {"name": "batch", "namespace": "physics"},
    "parameters": {"pool": "physics", "slots": "4", "debug": "false", "password": SECRET, "proxy": None},
    "service": {"name": "worker"},
    "services": {
        "master": {"address": "10.1.0.17", "addresses": ["10.1.0.17", "10.1.0.18"], "hostname": "batch-master-0-6f0c"},
        "my_db": {"address": "10.1.0.20", "addresses": ["10.1.0.20"], "hostname": "batch-my-db-0-77aa"},
    },
    "site": {"account": "home", "provider": "simulated", "region": None},
}


def request(*templates: str, content_type: str = "text/cloud-config", **values: Any) -> RenderRequest:
    return RenderRequest(tuple((content_type, template) for template in templates), VALUES | values)


def result(template: str, **values: Any) -> RenderResult:
    return render(request(template, **values))


def text(template: str, **values: Any) -> str:
    """What `template` renders to; it must."""
    outcome = result(template, **values)
    assert outcome.error == ""
    return outcome.user_data.decode()


def error(template: str, **values: Any) -> str:
    """Why `template` does not render; it must not."""
    outcome = result(template, **values)
    assert outcome.error, outcome.user_data
    assert outcome.user_data == b""
    return outcome.error
