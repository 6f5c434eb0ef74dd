"""What the tests ask of every provider alike: launches, how one was refused, and all that was said of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest

from cloudherd.clouds.protocol import VM, CloudError, Driver, LaunchRequest

_numbers = count()


def launch(account: str, users_tag: tuple[str, str], **fields: Any) -> LaunchRequest:
    """One like no other before. `users_tag`: of a kind that the cloud's API could garble. `fields` replace or add."""
    number = next(_numbers)
    key, value = users_tag
    made = {
        "token": f"ch-{number:040x}",
        "name": f"batch-worker-{number}",
        "tags": {"cloudherd-id": f"id-{number}", "cloudherd-account": account, key: value},
        "user_data": b"#cloud-config\npassword: hunter2-hunter2\n",
    }
    return LaunchRequest(**{**made, **fields})


def failure(call: Callable[[], object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def seen(driver: Driver, vm_id: str) -> VM:
    vm = driver.get_vm(vm_id)
    assert vm is not None
    return vm


def everything_said(errors: Iterable[CloudError], log: pytest.LogCaptureFixture) -> str:
    """All that a user, a traceback or the log could show, arguments of log records included."""
    said = []
    for error in errors:
        assert error.__cause__ is None
        said += [*traceback.format_exception(error), repr(error), error.code, error.message]
    return "\n".join([*said, log.text, *(repr(record.__dict__) for record in log.records)])
