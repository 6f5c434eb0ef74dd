"""RunInstances as AWS has it: one launch for every client token, within limits and capacities. Knows moto's models."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import EC2Backend, ec2_backends
from werkzeug.wrappers import Request, Response

from devenv import moto_xml
from devenv.moto_knobs import KnobBoard
from devenv.moto_signature import Signer

COUNTED_STATES = frozenset({"pending", "running", "stopping", "stopped"})
SIGNATURE_FIELDS = frozenset({"Signature", "Timestamp", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion"})
MAX_TOKEN = 64
MISMATCH = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
LIMIT = "You have requested more instances than your current instance limit of {} allows for the specified type."
CAPACITY = "We currently do not have sufficient {} capacity in the Availability Zone you requested."


@dataclass
class Launch:
    """What one client token did. The lock makes calls with the same token wait for each other, unless one `waits` for
    another, as the knob `unlocked_tokens` has it.
    """

    lock: threading.Condition = field(default_factory=threading.Condition)
    waits: bool = False
    fingerprint: str = ""
    reply: bytes = b""


class Launches:
    """`forward` passes a request on to moto, and is called with `moto_lock` held."""

    def __init__(self, knobs: KnobBoard, moto_lock: threading.Lock, forward: Callable[[Request], Response]) -> None:
        self._knobs = knobs
        self._moto_lock = moto_lock
        self._forward = forward
        self._lock = threading.Lock()
        self._launches: dict[tuple[str, str, str], Launch] = {}
        self._hidden: dict[str, set[str]] = {}

    def reset(self) -> None:
        with self._lock:
            self._launches.clear()
            self._hidden.clear()

    def hidden(self, region: str) -> frozenset[str]:
        """The IDs that descriptions are to leave out as long as the knob `hide_new` is set."""
        with self._lock:
            if not self._knobs.of(region).hide_new:
                self._hidden.pop(region, None)
            return frozenset(self._hidden.get(region, ()))

    def run(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        """Once for every token, as AWS's documentation has it."""
        token = parameters.get("ClientToken", "")
        if len(token) > MAX_TOKEN:
            return moto_xml.error(
                400, "InvalidParameterValue", f"The client token has more than {MAX_TOKEN} characters."
            )
        asked = sorted((key, value) for key, value in parameters.items() if key not in SIGNATURE_FIELDS)
        fingerprint = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        with self._lock:
            launch = self._launches.setdefault((who.access_key, who.region, token), Launch()) if token else Launch()
        with launch.lock:
            if launch.reply and launch.fingerprint != fingerprint:
                return moto_xml.error(400, "IdempotentParameterMismatch", MISMATCH)
            if launch.reply:
                return moto_xml.reply(200, moto_xml.with_states(launch.reply, lambda vm_id: state(who.region, vm_id)))
            self._meet(launch, self._knobs.of(who.region).unlocked_tokens)
            response = self._within_limits(request, parameters, who.region)
            if response.status_code == 200:
                launch.fingerprint, launch.reply = fingerprint, response.get_data()
        return response

    @staticmethod
    def _meet(launch: Launch, seconds: float) -> None:
        """The first one waits for the second, and then both launch: each has seen that the token is new."""
        launch.waits = not launch.waits and seconds > 0
        launch.lock.notify_all()
        launch.lock.wait_for(lambda: not launch.waits, timeout=seconds)
        launch.waits = False

    def _within_limits(self, request: Request, parameters: Mapping[str, str], region: str) -> Response:
        knobs = self._knobs.of(region)
        flavor, count = parameters.get("InstanceType", ""), int(parameters.get("MaxCount", 1))
        with self._moto_lock:
            if knobs.limit is not None and _live(region) + count > knobs.limit:
                return moto_xml.error(400, "InstanceLimitExceeded", LIMIT.format(knobs.limit))
            least = int(parameters.get("MinCount", 1))
            if flavor in knobs.capacity:
                count = min(count, knobs.capacity[flavor] - _live(region, flavor))
            if count < least:
                return moto_xml.error(500, "InsufficientInstanceCapacity", CAPACITY.format(flavor))
            if count > least:  # AWS makes as many as it has capacity for, moto the least that are asked for
                request = _with({**parameters, "MinCount": str(count), "MaxCount": str(count)}, request)
            for group in (value for key, value in parameters.items() if key.startswith("SecurityGroup.")):
                if _backend(region).get_security_group_by_name_or_id(group) is None:  # moto would break
                    return moto_xml.error(400, "InvalidGroup.NotFound", f"The security group '{group}' does not exist")
            response = self._forward(request)
            if knobs.hide_new and response.status_code == 200:
                with self._lock:
                    self._hidden.setdefault(region, set()).update(moto_xml.instance_ids(response.get_data()))
        return response


def _with(parameters: Mapping[str, str], request: Request) -> Request:
    body = urlencode(parameters).encode()
    changed = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return Request({key: value for key, value in request.environ.items() if key != "werkzeug.request"} | changed)


def _backend(region: str) -> EC2Backend:
    return ec2_backends[DEFAULT_ACCOUNT_ID][region]


def _live(region: str, flavor: str = "") -> int:
    instances = _backend(region).all_instances()
    return sum(each.state in COUNTED_STATES and flavor in {"", each.instance_type} for each in instances)


def state(region: str, vm_id: str) -> tuple[int, str] | None:
    for each in _backend(region).all_instances():
        if each.id == vm_id:
            return each.state_code, each.state
    return None
