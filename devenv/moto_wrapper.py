"""moto's EC2 behind what it lacks: AWS's XML, client tokens, signatures, limits, shortages and faults, counted calls.

The knobs (`moto_knobs`) are turned over HTTP while it runs:
  GET, POST /cloudherd/knobs   {"region": "us-east-1", "limit": 3, ...}; without a region for all of them
  GET       /cloudherd/calls   {region: {action: how often}}
  POST      /cloudherd/reset   moto's state, knobs, tokens and counts
Calls signed with the access key `truth` are neither counted nor held up, and see what is hidden: by it a test learns
what is really there.
"""

from __future__ import annotations

import hashlib
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qsl

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from devenv import moto_signature, moto_xml
from devenv.moto_knobs import Answer, KnobBoard
from devenv.moto_signature import Signer

TRUTH = "truth"
COUNTED_STATES = frozenset({"pending", "running", "stopping", "stopped"})
SIGNATURE_FIELDS = frozenset({"Signature", "Timestamp", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion"})
MAX_TOKEN = 64

MISMATCH = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
LIMIT = "You have requested more instances than your current instance limit of {} allows for the specified type."
CAPACITY = "We currently do not have sufficient {} capacity in the Availability Zone you requested."


class ReplyLost(ConnectionAbortedError):  # noqa: N818 - it tells what happens, and is no mistake
    """The call was carried out; its answer never arrives."""


@dataclass
class Launch:
    """What one client token did. The lock makes calls with the same token wait for each other."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    fingerprint: str = ""
    reply: bytes = b""


class MotoWrapper:
    """A WSGI application."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._moto_lock = threading.Lock()  # moto's models are not made for threads
        self._lock = threading.Lock()
        self.knobs = KnobBoard()
        self._calls: dict[str, Counter[str]] = {}
        self._launches: dict[tuple[str, str, str], Launch] = {}
        self._hidden: dict[str, set[str]] = {}

    def __call__(self, environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._own(request) if request.path.startswith("/cloudherd/") else self._moto_or_ec2(request)
        except ReplyLost:
            connection = environ["werkzeug.socket"]
            assert isinstance(connection, socket.socket)
            connection.shutdown(socket.SHUT_RDWR)
            raise
        return response(environ, start_response)  # type: ignore[arg-type]

    # Turned over HTTP

    def _own(self, request: Request) -> Response:
        what = request.path.removeprefix("/cloudherd/")
        if what == "knobs" and request.method == "POST":
            changes = dict(request.get_json(force=True))
            try:
                self.knobs.set(changes, region=changes.pop("region", ""))
            except (TypeError, ValueError) as error:
                return _json({"error": str(error)}, 400)
        if what == "knobs":
            return _json(asdict(self.knobs.of(request.args.get("region", ""))))
        if what == "calls":
            with self._lock:
                return _json({region: dict(counts) for region, counts in self._calls.items()})
        if what == "reset" and request.method == "POST":
            self._reset()
            return _json({})
        return _json({"error": "there are knobs, calls and reset (POST)"}, 404)

    def _reset(self) -> None:
        with self._moto_lock, self._lock:
            Client(self._moto).post("/moto-api/reset")
            self.knobs.reset()
            self._calls.clear()
            self._launches.clear()
            self._hidden.clear()

    # EC2

    def _moto_or_ec2(self, request: Request) -> Response:
        body = request.get_data()
        parameters = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) | dict(
            request.args.items()
        )
        who = moto_signature.signer(request, parameters)
        if who is None or "Action" not in parameters:
            return self._forward(request)
        if who.version == 2:
            request.environ["HTTP_AUTHORIZATION"] = moto_signature.as_version_4(who)
        if who.access_key == TRUTH:
            return self._forward(request)
        with self._lock:
            self._calls.setdefault(who.region, Counter())[parameters["Action"]] += 1
        return self._faulty(request, parameters, who)

    def _faulty(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        knobs = self.knobs.of(who.region)
        if refusal := moto_signature.refusal(request, parameters, who, knobs.keys):
            return refusal
        time.sleep(knobs.delay)
        if self.knobs.take(who.region, "throttle"):
            return moto_xml.error(503, "RequestLimitExceeded", "Request limit exceeded.")
        answer = self.knobs.take_answer(who.region, parameters["Action"])
        if answer and not answer.carry_out:
            return _as_told(answer)
        response = self._carried_out(request, parameters, who)
        return _as_told(answer) if answer else response

    def _carried_out(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        match parameters["Action"]:
            case "RunInstances":
                response = self._run_instances(request, parameters, who)
                if self.knobs.take(who.region, "lose"):
                    raise ReplyLost
                return response
            case "DescribeInstances":
                return self._describe_instances(request, parameters, who)
        return self._forward(request)

    def _run_instances(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
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
                return moto_xml.reply(200, moto_xml.with_states(launch.reply, lambda vm_id: _state(who.region, vm_id)))
            response = self._launch_within_limits(request, parameters, who.region)
            if response.status_code == 200:
                launch.fingerprint, launch.reply = fingerprint, response.get_data()
        return response

    def _launch_within_limits(self, request: Request, parameters: Mapping[str, str], region: str) -> Response:
        knobs = self.knobs.of(region)
        flavor, count = parameters.get("InstanceType", ""), int(parameters.get("MaxCount", 1))
        with self._moto_lock:
            if knobs.limit is not None and _live(region) + count > knobs.limit:
                return moto_xml.error(400, "InstanceLimitExceeded", LIMIT.format(knobs.limit))
            if flavor in knobs.capacity and _live(region, flavor) + count > knobs.capacity[flavor]:
                return moto_xml.error(500, "InsufficientInstanceCapacity", CAPACITY.format(flavor))
            response = self._forward_locked(request)
        if knobs.hide_new and response.status_code == 200:
            with self._lock:
                self._hidden.setdefault(region, set()).update(moto_xml.instance_ids(response.get_data()))
        return response

    def _describe_instances(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        knobs = self.knobs.of(who.region)
        with self._lock:
            if not knobs.hide_new:
                self._hidden.pop(who.region, None)
            hidden = frozenset(self._hidden.get(who.region, ()))
        if not hidden and not knobs.forget_terminated:
            return self._forward(request)

        def is_hidden(vm_id: str, state: str) -> bool:
            return vm_id in hidden or (knobs.forget_terminated and state == "terminated")

        for vm_id in moto_xml.requested_ids(parameters):
            state = _state(who.region, vm_id)
            if state and is_hidden(vm_id, state[1]):
                return moto_xml.error(400, "InvalidInstanceID.NotFound", f"The instance ID '{vm_id}' does not exist")
        response = self._forward(request)
        if response.status_code == 200:
            response.set_data(moto_xml.without(response.get_data(), is_hidden))
        return response

    def _forward(self, request: Request) -> Response:
        with self._moto_lock:
            return self._forward_locked(request)

    def _forward_locked(self, request: Request) -> Response:
        request.environ["wsgi.input"] = io.BytesIO(request.get_data())  # read once already; moto would wait for it
        response = Response.from_app(self._moto, request.environ)
        response.direct_passthrough = False
        if response.mimetype == "text/xml":
            response.set_data(moto_xml.as_aws_sends_it(response.get_data()))
            response.headers["Content-Type"] = "text/xml;charset=UTF-8"
        return response


def _live(region: str, flavor: str = "") -> int:
    instances = ec2_backends[DEFAULT_ACCOUNT_ID][region].all_instances()
    return sum(each.state in COUNTED_STATES and flavor in {"", each.instance_type} for each in instances)


def _state(region: str, vm_id: str) -> tuple[int, str] | None:
    for each in ec2_backends[DEFAULT_ACCOUNT_ID][region].all_instances():
        if each.id == vm_id:
            return each.state_code, each.state
    return None


def _as_told(answer: Answer) -> Response:
    return Response(answer.body, answer.status, content_type=answer.content_type)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")
