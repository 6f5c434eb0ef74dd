"""What is full, remembered by flavor and image: one minute, doubling to thirty, and one probe each time.

A mark stands until its time has passed or something shows that there is room; after that the launches it concerned go
one at a time until one succeeds. Other refusals are kept likewise: those that the account gives to everybody (an
image it lacks), and those that a service earned by the rest of what it asks for, which concern nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudherd.api.account import FullMark
from cloudherd.clouds.protocol import Limits

Key = tuple[str, str, str]
"""Flavor, image and the rest of the request that was refused; empty ones stand for all."""
ACCOUNT: Key = ("", "", "")


@dataclass(slots=True)
class Mark:
    """`until` and `made_at` are monotonic, `until_date` Unix seconds for people. One that does not stand any more
    asks for a probe.
    """

    made_at: float
    until: float
    until_date: float
    delay: float
    reason: str
    message: str
    stands: bool = True
    probe: str = ""
    share: Limits | None = None
    """What the cloud said that we may have, foreign VMs taken off, when it refused."""


def matches(key: Key, what: Key) -> bool:
    return all(mine in ("", other) for mine, other in zip(key, what, strict=True))


@dataclass(slots=True)
class Full:
    """The memory of one account. `first` and `longest` in seconds."""

    first: float
    longest: float
    marks: dict[Key, Mark] = field(default_factory=dict)

    def refused(self, key: Key, reason: str, message: str, *, began: float, monotonic: float, now: float) -> None:
        """The cloud refused an attempt that began at `began`. Those that were under way together count as one."""
        old = self.marks.get(key)
        if old is not None and began <= old.made_at:
            return
        delay = min(self.longest, old.delay * 2) if old else self.first
        self.marks[key] = Mark(monotonic, monotonic + delay, now + delay, delay, reason, message)

    def pass_time(self, monotonic: float) -> bool:
        """Lifts the marks whose time has passed; whether there were any."""
        passed = [mark for mark in self.marks.values() if mark.stands and monotonic >= mark.until]
        for mark in passed:
            mark.stands = False
        for key in [key for key, mark in self.marks.items() if key[2] and monotonic >= mark.until + self.longest]:
            del self.marks[key]  # nobody came back with that request
        return bool(passed)

    def standing(self) -> dict[Key, Mark]:
        """What all may know who place a VM."""
        return {key: mark for key, mark in self.marks.items() if mark.stands and not key[2]}

    def blocks(self, what: Key) -> Mark | None:
        """A standing mark that such a launch would meet."""
        return next((mark for key, mark in self.marks.items() if mark.stands and matches(key, what)), None)

    def _passed(self, what: Key) -> list[Mark]:
        return [mark for key, mark in self.marks.items() if not mark.stands and matches(key, what)]

    def waits(self, what: Key, uid: str) -> bool:
        """Whether another launch is probing now, which this one has to wait for."""
        return any(mark.probe not in ("", uid) for mark in self._passed(what))

    def may_probe(self, what: Key, uid: str) -> bool:
        """Whether this launch may go, which makes it the probe of every mark that has passed."""
        if self.waits(what, uid):
            return False
        for mark in self._passed(what):
            mark.probe = uid
        return True

    def ended(self, uid: str) -> None:
        """An attempt is over; the next probe may go."""
        for mark in self.marks.values():
            if mark.probe == uid:
                mark.probe = ""

    def succeeded(self, what: Key, *, began: float) -> None:
        """A launch that began at `began` went well. It says nothing of a refusal that came while it was under way."""
        for key in [key for key, mark in self.marks.items() if matches(key, what) and began > mark.made_at]:
            del self.marks[key]

    def freed(self, flavor: str) -> bool:
        """A VM of ours is gone: what only lacked room may be tried again. Whether anything changed."""
        lifted = [mark for key, mark in self.marks.items() if mark.stands and key[0] in ("", flavor) and not key[1]]
        for mark in lifted:
            mark.stands = False
        return bool(lifted)

    def told(self, share: Limits, room: Limits) -> bool:
        """What the cloud says that we may have, and what of it is left. If there is more than when it refused, its mark
        is lifted; whether it was.
        """
        mark = self.marks.get(ACCOUNT)
        if mark is None or not mark.stands:
            return False
        if mark.share is None:
            mark.share = share
        if exhausted(room) or not grew(mark.share, share):
            return False
        mark.stands = False
        return True

    def restore(self, marks: Iterable[FullMark], *, monotonic: float, now: float) -> None:
        """What an agent before us wrote; how long its waits had grown is not known."""
        for one in marks:
            left = min(self.longest, one.until.timestamp() - now)
            if left > 0:
                mark = Mark(monotonic, monotonic + left, now + left, self.first, one.reason, one.message)
                self.marks[one.flavor, one.image, ""] = mark

    def next_end(self) -> float | None:
        return min((mark.until for mark in self.marks.values() if mark.stands), default=None)


def room_left(limits: Limits, instances: int, cpus: float, memory: float) -> Limits:
    """Limits less what is used, foreign VMs included."""
    return Limits(
        instances=None if limits.instances is None else limits.instances - instances,
        cpus=None if limits.cpus is None else limits.cpus - cpus,
        memory=None if limits.memory is None else limits.memory - int(memory),
    )


def grew(before: Limits, now: Limits) -> bool:
    """Whether there is more of something than there was."""
    pairs = [(before.instances, now.instances), (before.cpus, now.cpus), (before.memory, now.memory)]
    return any(old is not None and (new is None or new > old) for old, new in pairs)


def exhausted(room: Limits) -> bool:
    """Whether nothing at all is left of something."""
    return any(left is not None and left <= 0 for left in (room.instances, room.cpus, room.memory))
