"""EC2's XML on its way out: AWS's own namespaces, errors, and the removal of what is to be hidden."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

MOTO_NAMESPACE = b'xmlns="http://ec2.amazonaws.com/doc/2016-11-15"'
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_NS = {"e": NAMESPACE}


def as_aws_sends_it(body: bytes) -> bytes:
    """With the slash at the namespace's end, and no namespace on errors: clients of AWS look for exactly that."""
    return body.replace(b"<Response " + MOTO_NAMESPACE, b"<Response").replace(
        MOTO_NAMESPACE, b'xmlns="' + NAMESPACE.encode() + b'"'
    )


def reply(status: int, body: bytes) -> Response:
    return Response(body, status, content_type="text/xml;charset=UTF-8")


def error(status: int, code: str, message: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
        "<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"
    )
    return reply(status, body.encode())


def instance_ids(body: bytes) -> list[str]:
    """The IDs in the reply to RunInstances."""
    return [item.findtext("e:instanceId", "", _NS) for item in _parsed(body).iterfind("e:instancesSet/e:item", _NS)]


def with_states(body: bytes, state: Callable[[str], tuple[int, str] | None]) -> bytes:
    """The reply with every instance in the state (code, name) that it is in by now; None leaves it as it says."""
    root = _parsed(body)
    for item in root.iterfind(".//e:instancesSet/e:item", _NS):
        now = state(item.findtext("e:instanceId", "", _NS))
        if now:
            for tag, value in zip(("code", "name"), now, strict=True):
                element = item.find(f"e:instanceState/e:{tag}", _NS)
                if element is not None:
                    element.text = str(value)
    return _serialized(root)


def without(body: bytes, hidden: Callable[[str, str], bool]) -> bytes:
    """The reply to DescribeInstances without the instances for whose ID and state name `hidden` holds."""
    root = _parsed(body)
    for reservations in root.iterfind("e:reservationSet", _NS):
        for reservation in list(reservations):
            instances = reservation.find("e:instancesSet", _NS)
            if instances is None:
                continue
            for item in list(instances):
                if hidden(item.findtext("e:instanceId", "", _NS), item.findtext("e:instanceState/e:name", "", _NS)):
                    instances.remove(item)
            if not len(instances):
                reservations.remove(reservation)
    return _serialized(root)


def _parsed(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - written by moto in this process


def _serialized(root: ET.Element) -> bytes:
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True, default_namespace=NAMESPACE)
    return text


def requested_ids(parameters: Mapping[str, str]) -> list[str]:
    return [value for key, value in parameters.items() if key.startswith("InstanceId.")]
