"""Calls to EC2's API: apache-libcloud's EC2 driver signs and sends, our own code reads the answers.

Every call is a POST, so that no URL ever holds user data or a signature: libcloud's own calls are GETs, and urllib3
logs their URLs. Libcloud's reading is not used: it drops every page of a listing but the first, reads an answer in
another namespace as empty, and puts bodies into its exceptions. Nothing is ever sent twice here. One object belongs to
one thread: libcloud's connection keeps the request under way in itself.
"""

from __future__ import annotations

import hashlib
import hmac
import xml.etree.ElementTree as ET
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import urllib3.exceptions
from libcloud.common.aws import AWSRequestSignerAlgorithmV2
from libcloud.compute.drivers.ec2 import EC2Connection, EC2NodeDriver

from cloudherd.clouds import ec2_xml
from cloudherd.clouds.ec2_errors import refusal
from cloudherd.clouds.ec2_models import Ec2Credentials, Ec2Options
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind
from cloudherd.clouds.transport import Answer, Transport, endpoint, no_answer
from cloudherd.clouds.trust import Trust, carries

OFFSET_PAGES = "OffsetPages"
_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class _PostSignerV2(AWSRequestSignerAlgorithmV2):  # type: ignore[misc]
    """Signature version 2 of a POST; libcloud signs GETs only."""

    def _get_aws_auth_param(self, params: Mapping[str, str], secret_key: str, path: str = "/") -> str:
        query = "&".join(f"{quote(key, safe='')}={quote(str(params[key]), safe='-_~')}" for key in sorted(params))
        connection = self.connection
        usual = 443 if connection.secure else 80
        host = connection.host if connection.port == usual else f"{connection.host}:{connection.port}"
        signed = "\n".join(("POST", host.lower(), path, query))
        return b64encode(hmac.new(secret_key.encode(), signed.encode(), hashlib.sha256).digest()).decode()


class _PostConnection(EC2Connection):  # type: ignore[misc]
    responseCls = Answer  # noqa: N815 - libcloud's name
    conn_class = Transport  # here too, so that LIBCLOUD_DEBUG does not write bodies and keys to a file

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if self.signature_version == "2":
            self.signer = _PostSignerV2(self.user_id, self.key, self.version, self)

    def add_default_params(self, params: dict[str, str]) -> dict[str, str]:
        return params  # all of them go into the body

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        signed = self.signer.get_request_params({"Version": self.version, **fields}, method="POST", path=path)
        answer: Answer = self.request(path, data=urlencode(signed), headers=_FORM, method="POST", retry_failed=False)
        return answer


class _LibcloudDriver(EC2NodeDriver):  # type: ignore[misc]
    connectionCls = _PostConnection  # noqa: N815 - libcloud's name


class Ec2Api:
    """One account in one region. Every failure is a CloudError."""

    def __init__(self, connection: Connection, credentials: Ec2Credentials, options: Ec2Options) -> None:
        settings, self._path = _endpoint(connection)
        known = connection.region in EC2NodeDriver.list_regions()
        if not (known or connection.endpoint):
            raise _invalid(f"spec.region: no endpoint of EC2 is known for {connection.region}; set spec.endpoint")
        if credentials.session_token and options.signature_version == 2:
            raise _invalid("spec.options.signatureVersion: 2 cannot carry the Secret's sessionToken; leave it at 4")
        self._secrets = tuple(filter(None, (credentials.secret_key, credentials.session_token, credentials.access_key)))
        driver = _LibcloudDriver(
            credentials.access_key,
            credentials.secret_key,
            token=credentials.session_token,
            region=connection.region if known else "us-east-1",
            signature_version=str(options.signature_version),
            timeout=options.timeout_seconds,
            **settings,
        )
        driver.region_name = connection.region  # what is signed; services that speak EC2's API call theirs as they like
        self._connection: _PostConnection = driver.connection
        carries(Trust(credentials.ca_bundle), self._connection)

    def call(self, action: str, fields: Mapping[str, str], confidential: Iterable[str] = ()) -> ET.Element:
        """The answer's root. What is `confidential` is taken out of error messages, should the cloud repeat it."""
        answer = self._sent({"Action": action, **fields})
        if isinstance(answer, CloudError):
            raise answer
        if answer.status != 200:
            raise refusal(answer.status, answer.body, (*self._secrets, *confidential))
        return ec2_xml.answer(answer.body, action)

    def _sent(self, fields: Mapping[str, str]) -> Answer | CloudError:
        """Returns its error, for one that is raised would carry the library's exception, which holds the request."""
        try:
            return self._connection.post(self._path, fields)
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as raised:  # requests' own are OSErrors
            return no_answer(raised)

    def items(self, action: str, fields: Mapping[str, str], *names: str) -> Iterator[ET.Element]:
        """The items of the set of one of these names, from all pages; an error where any page is missing."""
        seen: set[str] = set()
        token = ""
        while True:
            root = self.call(action, {**fields, "NextToken": token} if token else fields)
            yield from ec2_xml.items(root, *names)
            token = root.findtext("nextToken", "")
            if not token:
                return
            if _is_offset(token):
                raise CloudError(ErrorKind.UNREACHABLE, OFFSET_PAGES, f"{action} goes by offset, which can skip some")
            if token in seen:
                raise CloudError(ErrorKind.UNREACHABLE, "PagesRepeat", f"{action} gives the same page again and again")
            seen.add(token)


def _is_offset(token: str) -> bool:
    """Whether a page begins at a number of items: where one ends meanwhile, as many are skipped as ended."""
    try:
        return b64decode(token, validate=True).isdigit()
    except ValueError:
        return False


def numbered(name: str, values: Iterable[str]) -> dict[str, str]:
    return {f"{name}.{number}": value for number, value in enumerate(values, start=1)}


def filters(wanted: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Filter.N fields. EC2 reads * and ? in the values as wildcards."""
    fields = {}
    for number, (name, values) in enumerate(wanted.items(), start=1):
        fields[f"Filter.{number}.Name"] = name
        fields |= {f"Filter.{number}.Value.{index}": value for index, value in enumerate(values, start=1)}
    return fields


def _endpoint(connection: Connection) -> tuple[dict[str, Any], str]:
    """Libcloud's settings for the account's endpoint (none for the public one), and the path."""
    if not connection.region:
        raise _invalid("spec.region is required for the provider ec2")
    if not connection.endpoint:
        return {}, "/"
    found = endpoint(connection.endpoint)
    return {"host": found.host, "port": found.port, "secure": found.secure}, found.path


def _invalid(sentence: str) -> CloudError:
    return CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
