"""`kubectl get` answers what runs where, whether it is ready, and if not, why."""

from __future__ import annotations

import pytest

from tests.integration.kubectl import Namespace, done
from tests.integration.manifests import condition

pytestmark = pytest.mark.integration

TABLES = {
    "vc/batch": (
        {
            "conditions": [
                condition("Ready", "False", "WaitingForCapacity", "worker 7/10"),
                condition("Placed", "False", "Full", ""),
            ]
        },
        "NAME READY REASON PLACED AGE MESSAGE",
        "batch False WaitingForCapacity False worker 7/10",
    ),
    "csvc/batch-worker": (
        {"replicas": 8, "readyReplicas": 7, "conditions": [condition("Ready", "False", "Launching", "one starts")]},
        "NAME TYPE DESIRED CURRENT READY REASON AGE MESSAGE",
        "batch-worker Scalable 10 8 7 Launching one starts",
    ),
    "inst/batch-worker-0": (
        {
            "phase": "Running",
            "addresses": {"private": ["10.1.0.17", "10.2.0.17"]},
            "conditions": [condition("Ready", "False", "Booting", "up to 10m")],
        },
        "NAME SERVICE ACCOUNT PHASE ADDRESS REASON AGE MESSAGE",
        "batch-worker-0 worker home Running 10.1.0.17 Booting up to 10m",
    ),
    "acct/aws": (
        {
            "used": {"instances": 8},
            "limit": {"instances": 40},
            "full": [{"flavor": "small", "until": "2026-01-01T00:00:00Z", "reason": "NoCapacity"}],
            "conditions": [condition("Ready", "False", "Denied", "AuthFailure: refused")],
        },
        "NAME PROVIDER REGION READY REASON USED LIMIT QUOTA FULL AGE MESSAGE",
        "aws ec2 us-east-1 False Denied 8 40 20 NoCapacity AuthFailure: refused",
    ),
    "ctx/condor-master": (
        {"size": 412, "conditions": [condition("Ready", "True", "Renders", "all is well")]},
        "NAME READY REASON SIZE AGE MESSAGE",
        "condor-master True Renders 412 all is well",
    ),
}


@pytest.mark.parametrize("resource", TABLES)
def test_kubectl_get_says_what_runs_where_and_why_not(objects: Namespace, resource: str) -> None:
    status, header, row = TABLES[resource]
    done(objects.patch(resource, {"status": status}, "--subresource=status"))
    first, second = done(objects.kubectl("get", resource)).splitlines()
    assert first.split() == header.split()
    age = first.index("AGE"), first.index("MESSAGE")
    assert (second[: age[0]] + second[age[1] :]).split() == row.split()


@pytest.mark.parametrize(
    ("kind", "wide"),
    [
        ("vc", {"PROGRESSING", "STRATEGY", "PAUSED"}),
        ("csvc", {"MIN", "MAX"}),
        ("inst", {"PUBLIC", "FLAVOR", "IMAGE", "REVISION", "PROVIDER-ID"}),
        ("acct", {"FULL-UNTIL", "FOREIGN", "CORDONED", "SCOPE", "AGENT"}),
        ("ctx", {"REVISION"}),
    ],
)
def test_more_shows_when_it_is_asked_for(objects: Namespace, kind: str, wide: set[str]) -> None:
    narrow = done(objects.kubectl("get", kind)).splitlines()[0].split()
    assert set(done(objects.kubectl("get", kind, "-o", "wide")).splitlines()[0].split()) - set(narrow) == wide


def test_the_category_gathers_all_kinds(objects: Namespace) -> None:
    names = done(objects.kubectl("get", "cloudherd", "-o", "name")).split()
    assert {name.split(".", 1)[0] for name in names} == {
        "cloudaccount",
        "clusterservice",
        "context",
        "instance",
        "virtualcluster",
    }
