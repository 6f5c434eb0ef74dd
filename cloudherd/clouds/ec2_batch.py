"""Several VMs of one RunInstances: all of them get the same tags, and yet each bears an identity of its own. Pure.

EC2 numbers the VMs of a call in their amiLaunchIndex. The tags hold the identities of all in that order, so that the VM
and its number name its own from the first moment, whoever looks, and nobody has to tag it afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, takewhile

from cloudherd.clouds.batches import shared_tags
from cloudherd.clouds.protocol import OWN_TAGS, LaunchRequest

MOST = 16
"""As many launches of an account as the agent has under way at once; their identities fill 6 of EC2's 50 tags."""
_TAG = "cloudherd-batch-{}"
_LONGEST = 256  # characters of a tag's value
_BETWEEN, _WITHIN = " ", "/"


def together(requests: Sequence[LaunchRequest]) -> LaunchRequest:
    """All of them as one, under a token that is the same for the same VMs in the same order."""
    token = "ch-" + hashlib.sha256("\n".join(one.token for one in requests).encode()).hexdigest()[:40]
    return replace(requests[0], token=token, name=_name(requests), tags=_tags(requests))


def _tags(requests: Sequence[LaunchRequest]) -> dict[str, str]:
    """Those that every VM of the call gets."""
    values = [""]
    for request in requests:
        entry = _WITHIN.join(request.tags[key] for key in OWN_TAGS)
        if values[-1] and len(values[-1]) + len(entry) >= _LONGEST:
            values.append("")
        values[-1] += _BETWEEN + entry if values[-1] else entry
    numbered = {_TAG.format(number): value for number, value in enumerate(values, start=1)}
    return shared_tags(requests[0].tags) | numbered


def _name(requests: Sequence[LaunchRequest]) -> str:
    """What all of them are called: what their names have in common, word by word."""
    parts = zip(*(one.name.split("-") for one in requests), strict=False)
    common = [words[0] for words in takewhile(lambda words: len(set(words)) == 1, parts)]
    return "-".join(common) or requests[0].name


def own_tags(found: Mapping[str, str], index: str) -> Mapping[str, str]:
    """The tags of the VM of that amiLaunchIndex: its own in place of everybody's. As found where it has none there."""
    if _TAG.format(1) not in found:
        return found
    entries: list[str] = []
    tags = dict(found)
    for number in count(1):
        value = tags.pop(_TAG.format(number), None)
        if value is None:
            break
        entries += value.split(_BETWEEN)
    own = entries[int(index)].split(_WITHIN) if index.isdecimal() and int(index) < len(entries) else []
    return tags | dict(zip(OWN_TAGS, own, strict=True)) if len(own) == len(OWN_TAGS) else found
