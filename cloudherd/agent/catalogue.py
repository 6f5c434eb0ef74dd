"""What an account's flavors and images are at its cloud, and which of them cannot be used. Pure.

A name that several flavors or images bear stands for none of them: which one is meant only the user can say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from cloudherd.api.account import AccountSpec, Lack
from cloudherd.clouds.protocol import Image, Size

T = TypeVar("T", Size, Image)
NAMED = 5  # of the IDs to choose from
LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[T]):
    """The cloud's answer to a question for the names or IDs `asked`. `known` is by ID, and by each name that only one
    bears; `shared` holds the IDs by each name that several bear. An ID goes before a name.
    """

    asked: frozenset[str]
    known: Mapping[str, T]
    shared: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Untold:
    """A question for `what`, flavors or images, that failed. The cloud's words may be others each time: with the same
    code they are no news.
    """

    what: str
    code: str
    words: str = field(compare=False)

    def __str__(self) -> str:
        return f"the cloud's {self.what} could not be asked for: {self.words}"


def catalogue(found: Iterable[T], asked: Iterable[str]) -> Catalogue[T]:
    by_id = {one.id: one for one in found}
    bearers: dict[str, list[T]] = defaultdict(list)
    for one in by_id.values():
        bearers[one.name].append(one)
    alone = {name: ones[0] for name, ones in bearers.items() if len(ones) == 1}
    shared = {name: _ids(ones) for name, ones in bearers.items() if len(ones) > 1 and name not in by_id}
    return Catalogue(frozenset(asked), {**alone, **by_id}, shared)


def _ids(ones: Iterable[T]) -> tuple[str, ...]:
    return tuple(sorted((one.id for one in ones), key=lambda each: (len(each), each)))


def lacking(spec: AccountSpec, sizes: Catalogue[Size] | None, images: Catalogue[Image] | None) -> list[Lack]:
    """Nothing is said of what the cloud was not asked for yet."""
    return [*_lacking("Flavor", spec.flavors, sizes), *_lacking("Image", spec.images, images)]


def _lacking(
    kind: Literal["Flavor", "Image"], names: Mapping[str, str], told: Catalogue[Size] | Catalogue[Image] | None
) -> list[Lack]:
    if told is None:
        return []
    found = []
    for name, wanted in sorted(names.items()):
        where = f"spec.{kind.lower()}s.{name}"
        if wanted in told.shared:
            ids = told.shared[wanted]
            choice = ", ".join(ids[:NAMED]) + (" ..." if len(ids) > NAMED else "")
            what = f"{len(ids)} {kind.lower()}s of its cloud are called {wanted}"
            message = f"{what}: give the ID of one ({choice}) in {where}"[:LONGEST]
            found.append(Lack(kind=kind, name=name, reason=f"{kind}Ambiguous", message=message))
        elif wanted in told.asked and wanted not in told.known:
            message = f"its cloud does not know {wanted}: correct {where}"[:LONGEST]
            found.append(Lack(kind=kind, name=name, reason=f"{kind}Unknown", message=message))
    return found
