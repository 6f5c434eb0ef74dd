"""Calls to CloudStack's API: apache-libcloud's connection carries them, our own code signs and reads.

Every call is a POST, so that no URL holds user data or keys, with signature version 3, which newer servers insist on.
Libcloud signs neither POSTs nor values with brackets or tildes as the server does, gives the first page of a listing
for the whole, makes four calls for it, and raises KeyErrors at states that it does not know. One object belongs to one
thread.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import urllib3.exceptions
from libcloud.common.cloudstack import CloudStackConnection

from cloudherd.clouds.cloudstack_errors import refusal
from cloudherd.clouds.cloudstack_models import CloudStackCredentials, CloudStackOptions
from cloudherd.clouds.errors import not_from
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind
from cloudherd.clouds.transport import Answer, Transport, endpoint, no_answer
from cloudherd.clouds.trust import Trust, carries

Json = dict[str, Any]
_EXPIRES = timedelta(minutes=10)  # newer servers allow fifteen
_JOB_DONE, _JOB_FAILED = 1, 2
_PAUSES = (0.1, 0.2, 0.3, 0.5)  # between two looks at a job, then a second
_TURNS = 3  # how often a listing is read anew when it changes while it is read
_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class NotUnderstoodError(CloudError):
    """What came is not CloudStack's JSON, or not the answer to what was asked. Holds nothing of it."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.UNREACHABLE, "NotUnderstood", not_from("CloudStack"))


def signature(fields: Mapping[str, str], secret: str) -> str:
    """Of all fields, as the server's Java makes it: names as they are, values encoded, all of it in lower case."""
    pairs = sorted((key.lower(), quote(value, safe="*").replace("~", "%7E")) for key, value in fields.items())
    joined = "&".join(f"{key}={value}" for key, value in pairs).lower()
    return b64encode(hmac.new(secret.encode(), joined.encode(), hashlib.sha1).digest()).decode()


class _Post(CloudStackConnection):  # type: ignore[misc]
    responseCls = Answer  # noqa: N815 - libcloud's name
    conn_class = Transport

    def add_default_params(self, params: Json) -> Json:
        return params  # all of them go into the body

    def pre_connect_hook(self, params: Json, headers: Json) -> tuple[Json, Json]:
        return params, headers

    def encode_data(self, data: str) -> str:
        return data

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        expires = (datetime.now(UTC) + _EXPIRES).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = {**fields, "response": "json", "apiKey": self.user_id, "signatureVersion": "3", "expires": expires}
        body = urlencode({**signed, "signature": signature(signed, self.key)})
        answer: Answer = self.request(path, data=body, headers=_FORM, method="POST", retry_failed=False)
        return answer


class CloudStackApi:
    """One account, or one project of it. Every failure is a CloudError. `sleep` waits between two looks at a job."""

    def __init__(
        self,
        connection: Connection,
        credentials: CloudStackCredentials,
        options: CloudStackOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not connection.endpoint:
            sentence = (
                "spec.endpoint is required for the provider cloudstack, like https://cloud.example.org/client/api"
            )
            raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
        at = endpoint(connection.endpoint)
        self._path = "/client/api" if at.path == "/" else at.path
        self._secrets = (credentials.secret_key, credentials.api_key)
        self._page_size = options.page_size
        self._project = {"projectid": options.project} if options.project else {}
        self._sleep = sleep
        self._connection = _Post(
            credentials.api_key,
            credentials.secret_key,
            secure=at.secure,
            host=at.host,
            port=at.port,
            timeout=options.timeout_seconds,
        )
        carries(Trust(credentials.ca_bundle), self._connection)

    def call(self, command: str, fields: Mapping[str, str], confidential: Iterable[str] = ()) -> Json:
        """What the answer holds. What is `confidential` is taken out of refusals, should CloudStack repeat it."""
        answer = self._sent({"command": command, **fields})
        if isinstance(answer, CloudError):
            raise answer
        found = _content(answer.body)
        if found is None and answer.status == HTTPStatus.OK:
            raise NotUnderstoodError
        if found is None:
            kind = ErrorKind.THROTTLED if answer.status == 429 else ErrorKind.UNREACHABLE
            raise CloudError(kind, f"HTTP{answer.status}", not_from("CloudStack"))
        name, content = found
        if answer.status != 200 or "errorcode" in content:
            raise refusal(answer.status, content, command, (*self._secrets, *confidential))
        if name != f"{command.lower()}response":
            raise NotUnderstoodError
        return content

    def _sent(self, fields: Mapping[str, str]) -> Answer | CloudError:
        """Returns its error, for one that is raised would carry the library's exception, which holds the request."""
        try:
            return self._connection.post(self._path, {**fields, **self._project_of(fields["command"])})
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as raised:  # requests' own are OSErrors
            return no_answer(raised)

    def _project_of(self, command: str) -> Mapping[str, str]:
        return self._project if command in _BY_PROJECT else {}

    def items(self, command: str, fields: Mapping[str, str], name: str) -> list[Json]:
        """All items, from all pages. Pages go by offset, so one that ends meanwhile hides another: the count tells."""
        for _ in range(_TURNS):
            found, steady = self._pages(command, fields, name)
            if steady:
                return found
        raise CloudError(ErrorKind.UNREACHABLE, "ListingChanges", f"{command}: it changes faster than it can be read")

    def _pages(self, command: str, fields: Mapping[str, str], name: str) -> tuple[list[Json], bool]:
        """With whether what was read is all that there was at every page."""
        found: dict[str, Json] = {}
        counts: set[int] = set()
        page = 1
        while True:
            paged = {**fields, "page": str(page), "pagesize": str(self._page_size)}
            content = self.call(command, paged)
            items = content.get(name, [])
            counts.add(_count(content))
            found |= {text(item): item for item in items}
            if len(items) < self._page_size:
                return list(found.values()), counts == {len(found)}
            page += 1

    def job(self, job_id: str, seconds: float, command: str, confidential: Iterable[str] = ()) -> bool:
        """Waits so long for a job; whether it was seen to end. Not being told in time is no failure: the job goes on.

        CloudError where it has failed for certain.
        """
        deadline = time.monotonic() + seconds
        pauses = iter(_PAUSES)
        while time.monotonic() < deadline:
            ended = self.has_ended(job_id, command, confidential)
            if ended is not False:
                return bool(ended)
            self._sleep(next(pauses, 1.0))
        return False

    def has_ended(self, job_id: str, command: str, confidential: Iterable[str] = ()) -> bool | None:
        """None where the job cannot be asked for now. CloudError where it has failed for certain, INVALID where
        CloudStack names no cause.
        """
        found = self._told(job_id)
        if found is None:
            return None
        if found.get("jobstatus") == _JOB_FAILED:
            result = found.get("jobresult")
            told = result if isinstance(result, dict) else {}
            raise _certain(refusal(530, told, command, (*self._secrets, *confidential)))
        return found.get("jobstatus") == _JOB_DONE

    def _told(self, job_id: str) -> Json | None:
        """None where the job cannot be asked for now."""
        try:
            return self.call("queryAsyncJobResult", {"jobid": job_id})
        except CloudError as error:
            if error.kind not in (ErrorKind.UNREACHABLE, ErrorKind.THROTTLED):
                raise
            return None


def _certain(failed: CloudError) -> CloudError:
    if failed.kind is not ErrorKind.UNREACHABLE:
        return failed
    return CloudError(ErrorKind.INVALID, failed.code, failed.message)


_BY_PROJECT = frozenset({"listVirtualMachines", "deployVirtualMachine", "listNetworks", "listSecurityGroups"})


def _content(body: bytes) -> tuple[str, Json] | None:
    """The one object of an answer, with its name; None where it is no answer of CloudStack's."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or len(found) != 1:
        return None
    ((name, content),) = found.items()
    return (name, content) if isinstance(content, dict) else None


def _count(content: Json) -> int:
    """CloudStack leaves it out where there is nothing."""
    count = content.get("count", 0)
    if not isinstance(count, int):
        raise NotUnderstoodError
    return count


def text(item: object, name: str = "id") -> str:
    """What every item has under that name."""
    found = item.get(name) if isinstance(item, dict) else None
    if not isinstance(found, str) or not found:
        raise NotUnderstoodError
    return found
