"""What only the controller can know to be wrong: said in one sentence where it was written, and nobody else suffers.

All of it happens in one namespace, beside a healthy cluster that is scaled after each mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from devenv.stage import Stage
from tests.e2e.bad_days import account_ready, cluster, context, day, ec2, ids, ours, says, service, simulated
from tests.e2e.world import Manifest, World

REQUIRED = {"parameters": [{"name": "password", "required": True, "secret": True}]}
TEMPLATE = "#cloud-config\n# {{ parameters.password }}\n"


class Said(NamedTuple):
    kind: str
    name: str
    type: str
    status: str
    words: tuple[str, ...]


class Mistake(NamedTuple):
    """`objects` are applied, and each of `said` comes true. `tries`: creations at home's cloud that it may cost."""

    objects: tuple[Manifest, ...]
    said: tuple[Said, ...]
    tries: int = 0


@pytest.fixture(scope="module")
def town(stage: Stage) -> Iterator[World]:
    """A healthy cluster at home, whose count belongs to whoever scales it, and an account aws beside it."""
    with day(stage) as world:
        healthy = service()
        del healthy["replicas"]
        world.apply(*ec2(world), simulated(), named("healthy", healthy))
        account_ready(world, "home")
        account_ready(world, "aws")
        says(world, "virtualcluster", "healthy", "Ready", "True")
        yield world


def named(name: str, *services: Manifest, at: tuple[str | Manifest, ...] = ("home",), **spec: Any) -> Manifest:
    manifest = cluster(*services, at=at, **spec)
    manifest["metadata"]["name"] = name
    return manifest


def wrong(*services: Manifest, at: tuple[str | Manifest, ...] = ("home",)) -> Manifest:
    return named("wrong", *services, at=at)


def secret(name: str, type_: str = "Opaque", **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "stringData": data}


def account(provider: str, **spec: Any) -> Manifest:
    return ours("CloudAccount", "wrong", {"provider": provider, "pollInterval": "1s", **spec})


def uses(name: str, **more: Any) -> Manifest:
    return service(contextRef={"name": name}, **more)


def machine(flavor: str = "small", image: str = "debian-12", **more: Any) -> Manifest:
    return service(machine={"flavor": flavor, "image": image, **more})


def from_secret(name: str) -> Manifest:
    return wrong(uses("wanting", parametersFrom=[{"secretRef": {"name": name}}]))


def cluster_says(*words: str, name: str = "wrong") -> Said:
    return Said("virtualcluster", name, "Ready", "False", words)


def not_placed(*words: str) -> Said:
    return Said("virtualcluster", "wrong", "Placed", "False", ("no place for 1 of 1 worker", *words))


def account_says(*words: str, status: str = "False") -> Said:
    return Said("cloudaccount", "wrong", "Ready", status, words)


def context_says(*words: str) -> Said:
    return Said("context", "wrong", "Ready", "False", words)


WANTING = context("wanting", TEMPLATE, **REQUIRED)
MOTO = "moto"  # in place of an endpoint that is known only when it listens
NOBODY = "http://127.0.0.1:9"
AT_EC2 = {"region": "us-east-1", "endpoint": MOTO, "credentialsRef": {"name": "keys"}}
KEYS = secret("keys", accessKey="testing", secretKey="testing")
AT_MOTO = {**AT_EC2, "flavors": {"small": "t3.small"}, "images": {"debian-12": "ami-12c6146b"}}
CIRCLE = [service(name, type_="Fixed", dependsOn=[other]) for name, other in ("ab", "bc", "ca")]

MISTAKES = {
    "no such Context": Mistake(
        (wrong(uses("nowhere")),), (cluster_says("Context nowhere does not exist", "create it"),)
    ),
    "no such Secret": Mistake((WANTING, from_secret("nowhere")), (cluster_says("Secret nowhere does not exist"),)),
    "a Secret without the key": Mistake(
        (WANTING, secret("other", pass_word="x"), from_secret("other")), (cluster_says("Context wanting", "password"),)
    ),
    "parameters from a Secret of another type": Mistake(
        (WANTING, secret("typed", "example.org/typed", password="x"), from_secret("typed")),
        (cluster_says("Secret typed is of type example.org/typed", "Opaque"),),
    ),
    "parameters from an account's credentials": Mistake(
        (WANTING, from_secret("aws-keys")), (cluster_says("Secret aws-keys holds the credentials of CloudAccount aws"),)
    ),
    "a parameter that the Context does not know": Mistake(
        (wrong(service(parameters={"colour": "red"})),), (cluster_says("Context plain", "colour"),)
    ),
    "credentials that do not exist": Mistake(
        (account("ec2", **AT_EC2),), (account_says("CredentialsMissing", "keys", "create it"),)
    ),
    "credentials that lack a key": Mistake(
        (secret("keys", accessKey="testing"), account("ec2", **AT_EC2)), (account_says("secretKey is missing"),)
    ),
    "no credentials at all": Mistake(
        (account("ec2", region="us-east-1"),), (account_says("spec.credentialsRef is missing", "accessKey is missing"),)
    ),
    "an endpoint where nobody listens": Mistake(
        (KEYS, account("ec2", **{**AT_EC2, "endpoint": NOBODY})),
        (account_says("Unreachable", "the endpoint refuses connections"),),
    ),
    "an EC2 without a region": Mistake(
        (KEYS, account("ec2", credentialsRef={"name": "keys"})), (account_says("spec.region"),)
    ),
    "a region that no EC2 is known of": Mistake(
        (KEYS, account("ec2", region="mars-1", credentialsRef={"name": "keys"})),
        (account_says("InvalidSettings", "spec.region: no endpoint of EC2 is known for mars-1; set spec.endpoint"),),
    ),
    "a provider that no package offers": Mistake(
        (account("nimbus"),), (account_says("No provider 'nimbus' is installed, only", "ec2", "simulated"),)
    ),
    "options that the provider does not know": Mistake(
        (KEYS, account("ec2", **AT_EC2, options={"pagesize": 5})),
        (account_says("spec.options", "pagesize", "pageSize"),),
    ),
    "options of a wrong type": Mistake(
        (KEYS, account("ec2", **AT_EC2, options={"pageSize": "many"})), (account_says("spec.options", "pageSize"),)
    ),
    "a flavor that no account has": Mistake((wrong(machine("huge")),), (not_placed("lacks the flavor huge"),)),
    "an image that no account has": Mistake((wrong(machine(image="beos")),), (not_placed("lacks the image beos"),)),
    "a flavor that the cloud does not know": Mistake(
        (simulated("wrong", flavors={"small": "sim.nano"}), wrong(service(), at=("wrong",))),
        (
            account_says("FlavorUnknown", "sim.nano", "spec.flavors", status="True"),
            not_placed("sim.nano", "its cloud does not know"),
        ),
    ),
    "an image that the cloud does not know": Mistake(
        (simulated("wrong", images={"debian-12": "sim-beos"}), wrong(service(), at=("wrong",))),
        (account_says("ImageUnknown", "sim-beos", "spec.images", status="True"), not_placed("debian-12")),
    ),
    "options that the machine cannot have": Mistake(
        (wrong(machine(options={"gpus": 4})),), (not_placed("gpus is not known"),)
    ),
    "options that a VM at EC2 cannot have": Mistake(
        (wrong(machine(options={"spot": "perhaps"}), at=("aws",)),), (not_placed("machine.options", "spot"),)
    ),
    "a security group that EC2 does not have": Mistake(
        (
            KEYS,
            account("ec2", **AT_MOTO, network={"securityGroups": ["nowhere"]}),
            wrong(service(), at=("wrong",)),
        ),
        (not_placed("InvalidGroup.NotFound", "nowhere"),),
    ),
    "user data longer than the cloud takes": Mistake(
        (context("long", "#cloud-config\n" + "#" * 20_000), wrong(uses("long"))),
        (not_placed("user data", "16384"),),
        tries=1,
    ),
    "three services in a circle": Mistake(
        (wrong(*CIRCLE),), (cluster_says("DependencyCircle", "a -> c -> b -> a", "dependsOn"),)
    ),
    "a template with a slip of the pen": Mistake(
        (context("wrong", "#cloud-config\n# {{ cluster.name }\n"), wrong(uses("wrong"))),
        (context_says("line 2"), cluster_says("Context wrong does not render", "line 2")),
    ),
    "a template with an unknown name": Mistake(
        (context("wrong", "#cloud-config\n# {{ cluster.colour }}\n"), wrong(uses("wrong"))),
        (context_says("cluster.colour"), cluster_says("Context wrong does not render", "cluster.colour")),
    ),
    "a template that asks for a service it does not depend on": Mistake(
        (context("wrong", "#cloud-config\n# {{ services.master.address }}\n"), wrong(uses("wrong"))),
        (cluster_says("Context wrong does not render", "services.master"),),
    ),
    "a template without end": Mistake(
        (context("wrong", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),),
        (context_says("more than 2 s of CPU"),),
    ),
    "a cluster whose names another one has": Mistake(
        (named("wrong", service("a-b")), named("wrong-a", service("b"))),
        (cluster_says("NameTaken", "wrong-a-b", "VirtualCluster wrong,", name="wrong-a"),),
        tries=1,
    ),
    "an account that does not exist": Mistake((wrong(service(), at=("nowhere",)),), (not_placed("does not exist"),)),
    "a selector that matches nothing": Mistake(
        (wrong(service(), at=({"selector": {"matchLabels": {"region": "mars"}}},)),),
        (not_placed("spec.placement.accounts matches no CloudAccount"),),
    ),
    "an account of a namespace that is not there": Mistake(
        (wrong(service(), at=({"name": "home", "namespace": "nowhere"},)),),
        (not_placed("nowhere.home does not exist"),),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_one_sentence_and_nobody_else_suffers(town: World, mistake: Mistake) -> None:
    runs, tries = ids(town.home), len(town.home.calls("create_vm"))
    text = yaml.safe_dump_all(mistake.objects).replace(f"endpoint: {MOTO}\n", f"endpoint: {town.front.url}\n")
    try:
        town.kubectl("apply", "-f", "-", stdin=text)
        for said in mistake.said:
            found = says(town, said.kind, said.name, said.type, said.status, *said.words)
            assert "\n" not in found["message"]
            assert "Traceback" not in found["message"]
        assert len(town.home.calls("create_vm")) - tries <= mistake.tries
        scaled(town, 2)
        scaled(town, 1)
        assert runs <= ids(town.home), "the healthy cluster's VM went"
    finally:
        town.kubectl("delete", "--timeout=60s", "-f", "-", stdin=text)


def scaled(town: World, count: int) -> None:
    town.kubectl("scale", "clusterservice/healthy-worker", f"--replicas={count}")
    says(town, "clusterservice", "healthy-worker", "Ready", "True", f"{count} of {count} ready")
