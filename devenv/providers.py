"""Writes the tables of docs/providers.md from what the providers declare: `python -m devenv.providers`.

A test fails where the page differs from the code.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from libcloud.compute.providers import DRIVERS

from cloudherd.clouds.libcloud_kind import kind_of
from cloudherd.clouds.libcloud_models import LibcloudOptions
from cloudherd.clouds.protocol import Capabilities, CloudError, Verb
from cloudherd.clouds.registry import Registry

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"
BEGIN, END = "<!-- written by python -m devenv.providers -->\n", "<!-- end -->\n"
TESTED = {
    "simulated": "itself, on virtual and on real time",
    "ec2": "moto's server over HTTP, whose signatures are checked; AWS itself never",
    "openstack": "real keystone, nova, neutron, glance and placement with nova's fake hypervisor",
    "opennebula": "a server of the tests' that answers as a real oned 7.5 was seen to answer",
    "cloudstack": "a server of the tests' that follows the API's documentation and source; a real one never",
    "libcloud": "libcloud's DigitalOcean driver at a server of the tests' that follows the API's documentation, and a "
    "driver in memory; cloudscale was only read; a real cloud never",
}
_VERBS = {
    "create": "yes",
    "shut down gracefully": Verb.SHUT_DOWN,
    "destroy": "yes",
    "stop": Verb.STOP,
    "start": Verb.START,
    "suspend": Verb.SUSPEND,
    "resume": Verb.RESUME,
    "poll": "yes",
    "save, restore, migrate": "",
}


def tables() -> str:
    registry = Registry()
    declared = {name: registry.provider(name).capabilities for name in TESTED}
    rows = [
        ["", *declared],
        *([what, *map(told, declared.values())] for what, told in _CAPABILITIES.items()),
    ]
    verbs = [["", *declared], *([what, *(_verb(what, one) for one in declared.values())] for what in _VERBS)]
    tested = [["", "tested against"], *([name, how] for name, how in TESTED.items())]
    drivers = [["libcloud's driver", "usable, or why not"], *_drivers()]
    return "\n".join(map(_table, (rows, verbs, tested, drivers)))


def _drivers() -> list[list[str]]:
    """Libcloud's own, those that can be used first; those with the same reason together."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name, (module, _) in sorted(DRIVERS.items()):
        if module.startswith("libcloud."):
            alike[_verdict(name)].append(f"`{name}`")
    usable = {verdict: names for verdict, names in alike.items() if verdict.startswith("usable")}
    return [[", ".join(names), verdict] for verdict, names in {**usable, **alike}.items()]


def _verdict(name: str) -> str:
    try:
        kind = kind_of(LibcloudOptions(driver=name))
    except CloudError as error:
        return error.message.removeprefix(f"spec.options.driver: {name}: ")
    power = ", ".join(verb.value for verb in Verb if verb in kind.verbs) or "neither stop nor start"
    region = "`spec.region` is a location" if kind.places else "without `spec.region`"
    return f"usable; {'user data' if kind.user_data else 'no user data'}; {power}; {region}"


def _verb(what: str, capabilities: Capabilities) -> str:
    verb = _VERBS[what]
    return _yes(verb in capabilities.verbs) if isinstance(verb, Verb) else verb or "-"


def _yes(holds: bool) -> str:
    return "yes" if holds else "-"


_CAPABILITIES = {
    "idempotency token": lambda one: _yes(one.idempotency_token),
    "tags at creation": lambda one: _yes(one.tags_at_creation),
    "user data, bytes": lambda one: f"{one.max_user_data:,}" + ("" if one.binary_user_data else ", text"),
    "limits can be read": lambda one: _yes(one.limits_readable),
    "regions": lambda one: _yes(one.regions),
    "spot": lambda one: _yes(one.spot),
    "batch launches": lambda one: f"up to {one.batch}" if one.batch > 1 else "-",
    "console output": lambda one: _yes(one.console_output),
    "new VMs may be hidden, s": lambda one: f"{one.visibility_seconds:g}",
    "calls a second, at once": lambda one: f"{one.calls_per_second:,g}, {one.concurrent_calls}",
}


def _table(rows: list[list[str]]) -> str:
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{' --- |' * len(rows[0])}", *others, ""])


def page(text: str) -> str:
    """The page with its tables as they should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
