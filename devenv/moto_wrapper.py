"""moto's EC2 behind what it lacks: AWS's XML, client tokens, signatures, limits, shortages and faults, counted calls.

The knobs (`moto_knobs`) are turned over HTTP while it runs:
  GET, POST /cloudherd/knobs   {"region": "us-east-1", "limit": 3, ...}; without a region for all of them
  GET       /cloudherd/calls   {region: {action: how often}}
  POST      /cloudherd/reset   moto's state, knobs, tokens and counts, once the calls under way are through
Calls signed with the access key `truth` are neither counted nor held up, and see what is hidden: by it a test learns
what is really there.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from urllib.parse import parse_qsl

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from devenv import moto_signature, moto_xml
from devenv.moto_knobs import Answer, KnobBoard, Knobs
from devenv.moto_launches import Launches, state
from devenv.moto_signature import Signer

TRUTH = "truth"
LONGEST_WAIT = 60.0


class ReplyLost(ConnectionAbortedError):  # noqa: N818 - it tells what happens, and is no mistake
    """The call was carried out; its answer never arrives."""


class MotoWrapper:
    """A WSGI application."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._moto_lock = threading.Lock()  # moto's models are not made for threads
        self._lock = threading.Lock()
        self.knobs = KnobBoard()
        self._launches = Launches(self.knobs, self._moto_lock, self._forward_locked)
        self._calls: dict[str, Counter[str]] = {}
        self._under_way = 0
        self._quiet = threading.Condition()

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
        with self._quiet:
            self._quiet.wait_for(lambda: self._under_way == 0, timeout=LONGEST_WAIT)
        with self._moto_lock, self._lock:
            Client(self._moto).post("/moto-api/reset")
            self.knobs.reset()
            self._calls.clear()
            self._launches.reset()

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
        with self._counted_under_way():
            return self._faulty(request, parameters, who)

    @contextmanager
    def _counted_under_way(self) -> Iterator[None]:
        with self._quiet:
            self._under_way += 1
        try:
            yield
        finally:
            with self._quiet:
                self._under_way -= 1
                self._quiet.notify_all()

    def _faulty(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        knobs = self.knobs.of(who.region)
        if refusal := moto_signature.refusal(request, parameters, who, knobs.keys):
            return refusal
        if knobs.old_api and (too_new := moto_signature.too_new(parameters, who)):
            return too_new
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
                response = self._launches.run(request, parameters, who)
                if self.knobs.take(who.region, "lose"):
                    raise ReplyLost
                return response
            case "DescribeInstances":
                return self._describe_instances(request, parameters, who)
        return self._forward(request)

    def _describe_instances(self, request: Request, parameters: Mapping[str, str], who: Signer) -> Response:
        response = self._forward(request)
        knobs = self.knobs.of(who.region)
        hidden = self._launches.hidden(who.region)
        if knobs.broken and response.status_code == 200:
            response.set_data(
                moto_xml.with_states(response.get_data(), lambda vm_id: _shown_state(who.region, vm_id, knobs))
            )
        if not hidden and not knobs.forget_terminated:
            return response

        def is_hidden(vm_id: str, state: str) -> bool:
            return vm_id in hidden or (knobs.forget_terminated and state == "terminated")

        for vm_id in moto_xml.requested_ids(parameters):
            now = state(who.region, vm_id)
            if now and is_hidden(vm_id, now[1]):
                return moto_xml.error(400, "InvalidInstanceID.NotFound", f"The instance ID '{vm_id}' does not exist")
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


def _shown_state(region: str, vm_id: str, knobs: Knobs) -> tuple[int, str] | None:
    now = state(region, vm_id)
    return (0, "error") if now and now[1] != "terminated" and vm_id in knobs.broken else now


def _as_told(answer: Answer) -> Response:
    return Response(answer.body, answer.status, content_type=answer.content_type)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")
