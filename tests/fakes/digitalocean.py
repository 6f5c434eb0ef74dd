"""DigitalOcean's API v2 for tests, as far as libcloud's driver speaks it: JSON over real HTTP, pages, tags, a limit.

Answers as the API's documentation says and libcloud's driver expects; the real service was not at hand. A tag keeps the
case in which its account wrote it first. A droplet is `new` for `STEP` seconds, and gone at once when it is deleted.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.fakes.httpserver import Reply, Request, Server

STEP = 0.04
_MOST_USER_DATA = 65_536
_TAG = re.compile(r"[A-Za-z0-9:_-]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_MADE = "2026-01-02T03:04:05Z"
Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, name: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.name = name


@dataclass
class Team:
    """Whom a token belongs to. `tags` are all that it ever used, by their small letters."""

    limit: int = 100
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Droplet:
    id: int
    owner: Team
    name: str
    size: Json
    image: Json
    region: Json
    tags: list[str]
    asked: Json
    made_at: float

    @property
    def user_data(self) -> str:
        return self.asked.get("user_data") or ""

    def shown(self) -> Json:
        up = time.monotonic() >= self.made_at + STEP
        address = {"ip_address": f"203.0.{self.id >> 8}.{self.id & 255}", "type": "public"}
        return {
            "id": self.id,
            "name": self.name,
            "status": "active" if up else "new",
            "created_at": _MADE,
            "size": self.size,
            "size_slug": self.size["slug"],
            "image": self.image,
            "region": self.region,
            "tags": list(self.tags),
            "networks": {"v4": [address] if up else [], "v6": []},
        }


class DigitalOcean(Server):
    def __init__(self) -> None:
        super().__init__()
        self.teams = {"alices-token": Team(), "bobs-token": Team()}
        self.droplets: list[Droplet] = []
        self.page_limit = 200
        self.regions = [{"slug": slug, "name": slug.upper(), "available": True} for slug in ("fra1", "nyc3")]
        self.sizes = [_size("s-1vcpu-1gb", 1, 1024), _size("s-4vcpu-8gb", 4, 8192)]
        self.images = [_image(11, "12 x64", "debian-12-x64"), _image(12, "12 x64", "other-12-x64")]
        self._made = 0

    # -- the wire

    def operation(self, request: Request) -> str:
        page = parse_qs(request.query).get("page", [""])[0]
        return f"{request.method} {re.sub('[0-9]+$', 'ID', request.path)}{f'?page={page}' if page else ''}"

    def serve(self, request: Request) -> Reply:
        try:
            team = self.teams.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
            if team is None:
                raise Refused(401, "Unauthorized", "Unable to authenticate you")
            return self._served(team, request)
        except Refused as refused:
            return _json(refused.status, {"id": refused.name, "message": str(refused)})

    def _served(self, team: Team, request: Request) -> Reply:
        mine = [one for one in self.droplets if one.owner is team]
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["v2", "droplets"]:
                return self._page(request, [one.shown() for one in mine])
            case "GET", ["v2", "images" | "sizes" | "regions" as what]:
                return self._page(request, getattr(self, what))
            case "GET", ["v2", "droplets", number]:
                return _json(200, {"droplet": _one(mine, number).shown()})
            case "DELETE", ["v2", "droplets", number]:
                self.droplets.remove(_one(mine, number))
                return Reply(204, b"")
            case "POST", ["v2", "droplets"]:
                return _json(202, {"droplet": self._create(team, json.loads(request.body)).shown()})
        raise Refused(404, "not_found", "The resource you were accessing could not be found.")

    def _page(self, request: Request, found: list[Json]) -> Reply:
        asked = parse_qs(request.query)
        number, size = int(asked.get("page", ["1"])[0]), min(self.page_limit, int(asked.get("per_page", ["20"])[0]))
        last = max(1, -(-len(found) // size))
        url = f"https://api.digitalocean.com{request.path}"
        links = {"last": f"{url}?page={last}", "next": f"{url}?page={number + 1}"} if number < last else {}
        if number > 1:
            links |= {"first": f"{url}?page=1", "prev": f"{url}?page={number - 1}"}
        name, shown = request.path.rpartition("/")[2], found[(number - 1) * size : number * size]
        return _json(200, {name: shown, "links": {"pages": links} if links else {}, "meta": {"total": len(found)}})

    def _create(self, team: Team, asked: Json) -> Droplet:
        wrong = next((tag for tag in asked.get("tags", []) if not _TAG.fullmatch(tag)), None)
        if wrong is not None:
            raise _unprocessable("Tag name may only contain letters, numbers, colons, dashes, and underscores")
        if not _NAME.fullmatch(asked["name"]):
            raise _unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
        if len((asked.get("user_data") or "").encode()) > _MOST_USER_DATA:
            raise _unprocessable("User data is too long")
        if sum(one.owner is team for one in self.droplets) >= team.limit:
            raise _unprocessable("creating this/these droplet(s) will exceed your droplet limit")
        self._made += 1
        droplet = Droplet(
            id=3_164_000 + self._made,
            owner=team,
            name=asked["name"],
            size=_known(self.sizes, "slug", asked["size"]),
            image=_known(self.images, "id", asked["image"]),
            region=_known(self.regions, "slug", asked["region"]),
            tags=[team.tags.setdefault(tag.lower(), tag) for tag in asked.get("tags", [])],
            asked=asked,
            made_at=time.monotonic(),
        )
        self.droplets.append(droplet)
        return droplet

    # -- the truth

    def add(self, token: str, name: str) -> Droplet:
        asked = {"name": name, "size": "s-1vcpu-1gb", "image": 12, "region": "fra1", "tags": ["Theirs", "a_b:c"]}
        with self.lock:
            return self._create(self.teams[token], asked)

    def user_data(self, droplet_id: str) -> bytes:
        return next(one.user_data for one in self.droplets if str(one.id) == droplet_id).encode()


def _one(droplets: list[Droplet], number: str) -> Droplet:
    found = next((one for one in droplets if str(one.id) == number), None)
    if found is None:
        raise Refused(404, "not_found", "The resource you were accessing could not be found.")
    return found


def _known(known: list[Json], key: str, value: object) -> Json:
    found = next((one for one in known if str(one[key]) == str(value)), None)  # IDs may come as strings
    if found is None:
        raise _unprocessable(f"You specified an invalid {key}")
    return found


def _unprocessable(words: str) -> Refused:
    return Refused(422, "unprocessable_entity", words)


def _size(slug: str, cpus: int, memory: int) -> Json:
    prices = {"price_monthly": 6.0 * cpus, "price_hourly": 0.009 * cpus}
    return {"slug": slug, "vcpus": cpus, "memory": memory, "disk": 25, "transfer": 1.0, "regions": ["fra1"], **prices}


def _image(number: int, name: str, slug: str) -> Json:
    told = {"distribution": "Debian", "public": True, "regions": ["fra1"], "min_disk_size": 7, "created_at": _MADE}
    return {"id": number, "name": name, "slug": slug, **told}


def _json(status: int, told: Json) -> Reply:
    return Reply(status, json.dumps(told).encode(), "application/json")
