"""A cloud whose certificate a private CA has signed: the account says so, and its Secret mends it."""

from __future__ import annotations

import trustme

from devenv.stage import Stage
from tests.e2e.bad_days import POLLS, account_ready, cluster, context, ours, says
from tests.e2e.world import Manifest, world_on
from tests.fakes.opennebula import OpenNebula
from tests.fakes.tls import HOST, over_tls


def test_an_unknown_ca_is_told_and_mended_in_the_secret_without_a_restart(stage: Stage) -> None:
    stage.run_operators()
    operator = stage.supervisor.pid("operator")
    ca = trustme.CA()
    with OpenNebula() as one, over_tls(one.url, ca.issue_cert(HOST)) as url, world_on(stage) as world:
        world.apply(context(), *account("home", url), *account("other", url), cluster(1))
        for name in ("home", "other"):
            words = f"the certificate of {HOST} is signed by itself or by a CA that is not trusted", "caBundle"
            says(world, "cloudaccount", name, "Ready", "False", "Unreachable", *words)
        assert one.calls == {}

        world.merge("secret", "home-keys", {"stringData": {"caBundle": "ca.pem"}})
        says(world, "cloudaccount", "home", "Ready", "False", "InvalidSettings", "caBundle: no certificates in PEM")

        world.merge("secret", "home-keys", {"stringData": {"caBundle": ca.cert_pem.bytes().decode()}})
        account_ready(world, "home")
        world.wait_ready(worker=1)
        says(world, "cloudaccount", "other", "Ready", "False", "not trusted")
        assert len(one.living()) == 1
        assert stage.supervisor.pid("operator") == operator


def account(name: str, url: str) -> tuple[Manifest, Manifest]:
    keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-keys"}}
    spec = {"provider": "opennebula", "endpoint": url, "credentialsRef": {"name": f"{name}-keys"}, **POLLS}
    known = {"flavors": {"small": "small"}, "images": {"debian-12": "debian-12"}}
    return {**keys, "stringData": {"username": "alice", "password": "open sesame"}}, ours(
        "CloudAccount", name, {**spec, **known}
    )
