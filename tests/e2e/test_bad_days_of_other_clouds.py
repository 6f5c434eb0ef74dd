"""Bad days of OpenNebula and CloudStack: each is told in one sentence, costs no other account anything, and heals.

All outages of one cloud strike the same cluster, one after another: two VMs there, and `spare` beside it. The minute
for which default time-outs bear a cloud that never answers passes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from devenv.stage import Stage
from tests.e2e.bad_days import account_ready, cluster, day, ec2, identities, ids, says, simulated, spread
from tests.e2e.sites import SITES, AtCloudStack, AtOpenNebula, Site, page, silence
from tests.e2e.world import Manifest, World, until
from tests.fakes.httpserver import Fault
from tests.fakes.opennebula import OpenNebula
from tests.fakes.silent import Silent

CANNOT = "the cloud cannot be asked:"
NO_ANSWER = f"{CANNOT} NoAnswerInTime: the endpoint did not answer in time"
NOT_THEIRS = "the endpoint's answer is not {vendor}'s: check spec.endpoint, and whether the cloud is up"


def sentence(world: World, account: str, type_: str, status: str, reason: str, words: str) -> Manifest:
    """The condition, once it has this status and reason; its message is these words and nothing else."""
    found = says(world, "cloudaccount", account, type_, status, reason)
    assert found["message"] == words
    return found


# -- clouds that never answer, and time-outs as users get them

DEAF = ("aws", "opennebula", "cloudstack")


@dataclass
class Silence:
    world: World
    endpoint: Silent

    def wants(self, workers: int, **elsewhere: int) -> None:
        """So many are asked for; but for these they run at home."""
        self.world.apply(cluster(workers, at=(*DEAF, "home")))
        self.world.wait_ready(worker=workers)
        wanted = {"home": workers - sum(elsewhere.values()), **elsewhere}
        until(f"{wanted}", lambda: spread(self.world) == wanted)
        until("the end of all others", lambda: len(ids(self.world.home)) == wanted["home"])

    def end(self) -> None:
        self.world.delete("virtualcluster", "batch")
        self.world.wait_gone("virtualcluster", "batch")
        assert ids(self.world.home) == set()


@pytest.fixture(scope="module")
def silent(stage: Stage) -> Iterator[Silence]:
    """Since this module's first test three accounts have been at an endpoint that accepts and never answers."""
    with Silent() as endpoint, day(stage) as world:
        for site in (AtOpenNebula, AtCloudStack):
            world.apply(site.secret(site.keys), site.account(endpoint.url))
        world.apply(*ec2(world, endpoint=endpoint.url), simulated())
        account_ready(world, "home")
        until("a call of each", lambda: len(endpoint.connections) >= len(DEAF))
        yield Silence(world, endpoint)


def test_clouds_that_never_answer_cost_no_other_account_anything(silent: Silence) -> None:
    for workers in (2, 4, 1):
        silent.wants(workers)
    silent.end()


# -- clouds that cannot be asked


@dataclass
class Scene:
    world: World
    site: Site

    @property
    def account(self) -> str:
        return self.site.provider

    def apply_account(self, path: str = "", **spec: object) -> None:
        at = "/client/api" if self.account == "cloudstack" else "/RPC2"
        self.world.apply(
            self.site.account(f"{self.site.server.url}{path or at}", options={"timeoutSeconds": 1}, **spec)
        )

    def wants(self, workers: int, *, here: int, spare: int = 0) -> None:
        """So many are asked for; these run here, those elsewhere."""
        self.world.apply(cluster(workers, at=(self.account, "spare")))
        self.world.wait_ready(worker=workers)
        wanted = {self.account: here, **({"spare": spare} if spare else {})}
        until(f"{wanted}", lambda: spread(self.world) == wanted)

    def says(self, type_: str, status: str, reason: str, words: str = "") -> Manifest:
        return sentence(self.world, self.account, type_, status, reason, words)


@pytest.fixture(scope="module", params=SITES.values(), ids=[*SITES])
def scene(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with request.param() as site:
        with day(stage) as world:
            scene = Scene(world, site)
            world.apply(site.secret(site.keys), simulated("spare"))
            scene.apply_account()
            for account in (scene.account, "spare"):
                account_ready(world, account)
            scene.wants(2, here=2)
            yield scene
        assert site.living() == set(), "VMs outlived their records"


@contextmanager
def nothing_lost(scene: Scene) -> Iterator[None]:
    """Whatever happens within the block: the two that ran before it run on, and nothing is left of any others."""
    before, run = identities(scene.world), scene.site.living()
    yield
    scene.wants(2, here=2)
    assert identities(scene.world) == before
    assert scene.site.living() == run


@dataclass(frozen=True)
class Outage:
    """`words` are all that the account says of it. `begin` breaks the cloud for as long as its block."""

    begin: Callable[[Scene], AbstractContextManager[None]]
    words: str
    reason: str = "Unreachable"
    credentials: str = "True"


def answers(fault: Fault) -> Callable[[Scene], AbstractContextManager[None]]:
    return lambda scene: scene.site.broken(fault)


@contextmanager
def wrong_keys(scene: Scene) -> Iterator[None]:
    scene.world.apply(scene.site.secret(scene.site.wrong_keys))
    yield
    scene.world.apply(scene.site.secret(scene.site.keys))


@contextmanager
def another_path(scene: Scene) -> Iterator[None]:
    scene.apply_account("/elsewhere")
    yield
    scene.apply_account()


REFUSED = "the cloud refuses the credentials of the Secret {namespace}/{account}-keys: {refused}"
OUTAGES = {
    "wrong keys": Outage(wrong_keys, REFUSED, "CredentialsRefused", "False"),
    "another path": Outage(another_path, f"{CANNOT} HTTP404: {NOT_THEIRS}"),
    "a page for an answer": Outage(answers(page(200)), f"{CANNOT} NotUnderstood: {NOT_THEIRS}"),
    "a page for an error": Outage(answers(page(503)), f"{CANNOT} HTTP503: {NOT_THEIRS}"),
    "silence": Outage(answers(silence()), NO_ANSWER),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_is_told_once_and_new_vms_go_elsewhere_until_it_is_over(scene: Scene, outage: Outage) -> None:
    site = scene.site
    names = {"namespace": scene.world.namespace, "account": scene.account, "vendor": site.vendor}
    with nothing_lost(scene):
        with outage.begin(scene):
            said = scene.says("Ready", "False", outage.reason, outage.words.format(**names, refused=site.refused))
            says(scene.world, "cloudaccount", scene.account, "CredentialsValid", outage.credentials)
            done = site.changes()
            scene.wants(3, here=2, spare=1)
            assert scene.world.condition("cloudaccount", scene.account, "Ready") == said, "said once"
            assert site.changes() == done, "a cloud that is gone was told to make or end a VM"
        scene.says("Ready", "True", "Ready")
        scene.says("CredentialsValid", "True", "Accepted")
        scene.wants(4, here=3, spare=1)


# -- clouds that answer, and have not what is asked of them


def test_a_quota_below_what_runs_ends_nothing_and_new_vms_go_elsewhere_until_it_is_raised(scene: Scene) -> None:
    with nothing_lost(scene):
        scene.site.limit(1)
        scene.wants(3, here=2, spare=1)
        scene.says("CapacityAvailable", "False", "CloudFull", scene.site.full)
        scene.says("Ready", "True", "Ready")
        scene.site.limit(None)
        scene.says("CapacityAvailable", "True", "HasRoom")
        scene.wants(4, here=3, spare=1)


def test_an_unknown_image_is_told_and_new_vms_go_elsewhere_until_it_is_corrected(scene: Scene) -> None:
    with nothing_lost(scene):
        scene.apply_account(images={"debian-12": "beos"})
        told = says(scene.world, "cloudaccount", scene.account, "Ready", "True", "ImageUnknown", "does not know beos")
        assert "correct spec.images" in told["message"]
        scene.wants(3, here=2, spare=1)
        scene.apply_account()
        scene.says("Ready", "True", "Ready")
        scene.wants(4, here=3, spare=1)


# -- a minute later


def test_clouds_that_never_answered_say_so_until_the_endpoint_is_corrected(silent: Silence) -> None:
    def gave_up() -> bool:
        conditions = (silent.world.condition("cloudaccount", account, "Ready") for account in DEAF)
        return all(one["status"] == "False" for one in conditions)

    until("the end of their time-outs", gave_up)
    for account in DEAF:
        sentence(silent.world, account, "Ready", "False", "Unreachable", NO_ANSWER)
    silent.wants(1)
    with OpenNebula() as one:
        silent.world.apply(AtOpenNebula.account(f"{one.url}/RPC2"))
        account_ready(silent.world, "opennebula")
        silent.wants(2, opennebula=1)
        silent.end()
        assert one.living() == []
