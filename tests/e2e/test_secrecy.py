"""Nothing secret of the manifests is in anything that others can read: of a whole run, with all that can go wrong."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote_plus

import pytest

from devenv.controlplane.assets import free_port
from devenv.stage import Stage
from tests.e2e.world import KINDS, Manifest, World, until, world_on

PASSWORD = "pw/+ &Moth7rShipQx%=d"
SECRET_KEY = "sk/+&Gran1teLadder%=k"
CORES = {"the password": "Moth7rShipQx", "the secret key": "Gran1teLadder"}  # the same in plain, JSON and URLs
WATCHED = (*KINDS.split(","), "events.v1.events.k8s.io", "configmaps", "leases")


def forms(name: str) -> list[str]:
    """All that a secret can look like: as it is or in URLs, and in base64 wherever it starts."""
    core = CORES[name]
    in_base64 = []
    for offset in range(3):
        text = b64encode(b"x" * offset + core.encode() + b"xx").decode()
        whole = text[-(-offset * 8 // 6) : (offset + len(core)) * 8 // 6]  # the letters that the core alone decides
        in_base64 += [whole, quote_plus(whole)]
    return [core, *in_base64]


def found_in(text: str) -> list[str]:
    return [name for name in CORES if any(form in text for form in forms(name))]


@pytest.fixture
def world(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The operator says all that it can."""
    monkeypatch.setenv("KOPF_RUN_VERBOSE", "1")
    stage.stop_operators()
    stage.run_operators()
    with world_on(stage) as world:
        yield world
    stage.stop_operators()


@contextmanager
def everything_watched(world: World, directory: Path) -> Iterator[Callable[[], str]]:
    """What every object in the namespace, Secrets apart, ever looked like, and every Event."""
    plane, logs = world.stage.plane, {kind: directory / f"{kind}.json" for kind in WATCHED}
    with ExitStack() as stack:
        for kind, log in logs.items():
            output: IO[Any] = stack.enter_context(log.open("w"))
            command = [str(plane.kubectl_program), f"--kubeconfig={plane.kubeconfig}", "-n", world.namespace]
            command += ["get", kind, "--watch", "-o", "json", "--show-managed-fields"]
            watcher = stack.enter_context(subprocess.Popen(command, stdout=output))
            stack.callback(watcher.terminate)
        yield lambda: "".join(log.read_text() for log in logs.values())


def a_refusal(code: str, world: World) -> Manifest:
    """EC2 repeats what it was sent, plain and as it came."""
    sent = [call.parameters["UserData"] for call in world.front.calls("RunInstances")]
    message = f"Invalid user data: SEC_PASSWORD = {PASSWORD}; {' '.join(sent)} {sent[-1][40:]}"
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    return {"status": 400, "body": body.replace("&", "&amp;"), "action": "RunInstances", "content_type": "text/xml"}


def a_broken_gateway() -> Manifest:
    return {"status": 502, "body": f"<html>{PASSWORD} {SECRET_KEY}</html>", "action": "RunInstances"}


def refused_launches(world: World) -> int:
    return sum(call.status == 400 for call in world.front.calls("RunInstances"))


def failed(world: World) -> bool:
    return any(one.get("status", {}).get("phase") == "Failed" for one in world.get("instances"))


def wait_not_ready(world: World, account: str, reason: str) -> None:
    def found() -> str:
        return str(world.condition("cloudaccount", account, "Ready").get("reason"))

    until(f"{account} {reason}", lambda: found() == reason)


def wait_refused(world: World, cluster: str) -> None:
    def reason() -> str:
        return str(world.condition("virtualcluster", cluster, "Ready").get("reason"))

    until(f"the refusal of {cluster}", lambda: reason() == "ContextInvalid")


def broken_contexts(world: World) -> list[Manifest]:
    """Templates that fail on the password itself."""
    templates = {
        "missing": "{{ parameters[parameters.password] }}",
        "number": "{{ parameters.password | int + parameters.password }}",
    }
    found = []
    for name, template in templates.items():
        context = world.example("Context", "condor-worker")
        context["metadata"]["name"] = name
        context["spec"]["parts"][0]["template"] = template
        found.append(context)
    return found


def broken_cluster(world: World, context: str) -> Manifest:
    cluster = world.cluster(workers=0)
    cluster["metadata"]["name"] = f"broken-{context}"
    cluster["spec"]["services"] = [cluster["spec"]["services"][0] | {"contextRef": {"name": context}}]
    del cluster["spec"]["services"][0]["parameters"]
    return cluster


def test_nothing_secret_is_told_anywhere(world: World, tmp_path: Path) -> None:
    begun = world.moment()
    keys, condor = world.example("Secret", "aws-keys"), world.example("Secret", "condor-secrets")
    keys["stringData"]["secretKey"] = SECRET_KEY
    condor["stringData"]["password"] = PASSWORD
    home, aws = world.example("CloudAccount", "home"), world.example("CloudAccount", "aws")
    dead = world.example("CloudAccount", "aws")
    dead["metadata"] |= {"name": "dead", "labels": {}}
    dead["spec"]["endpoint"] = f"http://127.0.0.1:{free_port()}"
    contexts = [world.example("Context", name) for name in ("condor-master", "condor-worker")]
    access_key = keys["stringData"]["accessKey"]

    with everything_watched(world, tmp_path) as watched:
        world.moto.knobs(keys={access_key: "another"})
        world.apply(keys, condor, home, aws, dead, *contexts, *broken_contexts(world))
        wait_not_ready(world, "aws", "CredentialsRefused")
        wait_not_ready(world, "dead", "Unreachable")
        clusters = [broken_cluster(world, name) for name in ("missing", "number")]
        world.apply(*clusters)
        for cluster in clusters:
            wait_refused(world, cluster["metadata"]["name"])
        world.delete("virtualclusters", "--all")
        world.moto.knobs(keys={access_key: SECRET_KEY}, throttle=2, lose=1, answers=[a_broken_gateway()])
        world.apply(world.cluster(workers=6))
        world.wait_ready(master=2, worker=6)
        world.stage.kill()
        world.moto.knobs(answers=[a_refusal("InvalidParameterValue", world), a_refusal("Unheard.Of", world)])
        world.stage.run_operators()
        world.apply(world.cluster(workers=8))
        until("two refusals", lambda: refused_launches(world) >= 2)
        until("what an Instance says of it", lambda: world.events("Invalid") or failed(world))
        everywhere = _told_at_clouds(world)
        for vm in world.vms():
            assert found_in(world.user_data(vm)) == ["the password"], "it did get where it belongs"
        world.delete("virtualcluster", "--all")
        world.wait_none("virtualclusters")
        everywhere |= {"objects": watched()}

    everywhere |= _told_at_clouds(world) | {"log": world.stage.said()}
    if world.stage.plane.audit_log.exists():
        everywhere["audit log"] = world.stage.plane.audit_log.read_bytes()[begun:].decode()
    for where, text in everywhere.items():
        assert len(text) > 1000, f"{where} is hardly what was meant"
        assert found_in(text) == [], f"{where}: {_lines_with_secrets(text)}"


def test_secrets_would_be_found() -> None:
    """Of the search itself."""
    for secret in (PASSWORD, SECRET_KEY):
        for before in ("", "a", "ab"):
            assert found_in(before + secret)
            assert found_in(b64encode((before + secret + "z").encode()).decode())
            assert found_in(quote_plus(b64encode((before + secret).encode())))
        assert found_in(quote_plus(secret))
        assert found_in(json.dumps({"x": secret}))


def _told_at_clouds(world: World) -> dict[str, str]:
    return {
        "tags": "\n".join(json.dumps([vm.name, *vm.tags.items()]) for vm in world.ever()),
        "requests": "\n".join(call.outside for call in world.front.calls()),
        "log at home": "\n".join(map(str, world.home.calls())),
    }


def _lines_with_secrets(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if found_in(line)][:5])
