"""What an operator must have made sure of before it calls a cloud, judged from what the API server held.

Rules 1, 5, 10, 12 and 13. Pure: each gives what is violated, in sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudherd.agent.checks import USER_DATA_TYPE
from cloudherd.clouds.protocol import LaunchRequest
from cloudherd.runtime import kinds
from tests.fakes.cloud import IMAGES, SIZES
from tests.faults.history import History, Record
from tests.faults.sky import Caller, Sky
from tests.faults.truth import named, scope_of

STALE = 420.0
"""A plan may have read what the API server held so many seconds ago: the longest stall of a watch, a kill, a relist."""
ORPHAN_AGE = 600.0


def before_any_write(history: History, sky: Sky, caller: Caller | None) -> Iterator[str]:
    """Rule 5: nothing is written to a cloud by an operator that began while the installation was not this cluster's."""
    since = history.homeless_since
    if caller is not None and since is not None and caller.started_at >= since:
        yield f"rule 5: {sky.name} is written to by an operator that cannot know whose installation it is"


def before_launch(history: History, sky: Sky, record: Record, request: LaunchRequest) -> Iterator[str]:
    for one in history.of_account(sky.name):
        scope = scope_of(one.now) if one.now else ""
        if one.now and scope not in ("", sky.scope):
            where = f"{named(one.now)[1]} lies in {scope}"
            yield f"rule 1: {request.name} is asked of {sky.scope}, but {where}: its account was repointed"
    yield from _trusted(history, record, request)


def _trusted(history: History, record: Record, request: LaunchRequest) -> Iterator[str]:
    """Rule 10: the account offers what is asked for, lets the namespace in, and the user data are user data."""
    home, _, name = record.account.partition(".")
    account = history.current[kinds.CLOUD_ACCOUNT].get((home, name))
    if account is None or record.now is None:
        return
    for what, known in (("flavor", SIZES), ("image", IMAGES)):
        names = {one.id: one.name for one in known}
        asked = getattr(request, what)
        if names.get(asked, asked) not in account["spec"][f"{what}s"].values():
            yield f"rule 10: {request.name} is asked for with a {what} that its account does not offer"
    namespace = record.unit.namespace
    if namespace != home:  # no account of ours lets others in
        yield f"rule 10: {request.name} is asked for, but its account does not let {namespace} in"
    data = history.get(kinds.SECRET, namespace, record.now["spec"]["userDataRef"]["name"])
    if data is not None and data["type"] != USER_DATA_TYPE:
        yield f"rule 10: {request.name} boots with a Secret of type {data['type']}"


def before_sweep(history: History, sky: Sky, caller: Caller | None, now: float) -> Iterator[str]:
    """Rule 12: no sweep where a record cannot be read. Rule 13: by the process's own clock and its own first sight."""
    for one in history.of_account(sky.name):
        if one.unreadable_since is not None and one.unreadable_since < now - STALE:
            yield f"rule 12: {sky.name} is swept, though an Instance of its account cannot be read"
    if caller is not None and now < caller.started_at + ORPHAN_AGE - 1:
        yield f"rule 13: an orphan is ended by an operator that runs for {now - caller.started_at:.0f} s only"
