"""Several parts as one MIME message, in the form that cloud-init reads.

Written by hand, because the bytes go into an Instance's revision: they may never differ between runs, machines or
versions of Python.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

PLAIN = re.compile(rb"[\t\n\x20-\x7e]*")
BASE64_LINE = 76


def multipart(parts: list[tuple[str, bytes]]) -> bytes:
    """`parts` are (content type, UTF-8 text). The boundary is a hash of all of them, so it stands in none."""
    digest = hashlib.sha256()
    for content_type, body in parts:
        digest.update(f"{content_type} {len(body)}\n".encode() + body)
    boundary = f"cloudherd-{digest.hexdigest()[:32]}"
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"\nMIME-Version: 1.0\n'.encode()]
    for content_type, body in parts:
        encoding, payload = _encoded(body)
        lines += [
            f"--{boundary}".encode(),
            f'Content-Type: {content_type}; charset="utf-8"\nMIME-Version: 1.0'.encode(),
            f"Content-Transfer-Encoding: {encoding}\n".encode(),
            payload,
        ]
    return b"\n".join([*lines, f"--{boundary}--\n".encode()])


def _encoded(body: bytes) -> tuple[str, bytes]:
    """Readable where it can be. cloud-init reads 8bit as Latin-1, and mail parsers change carriage returns."""
    if PLAIN.fullmatch(body):
        return "7bit", body
    text = b64encode(body)
    return "base64", b"\n".join(text[start : start + BASE64_LINE] for start in range(0, len(text), BASE64_LINE))
