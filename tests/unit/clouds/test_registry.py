"""Providers are found by entry point, each for itself: what is wrong with one package hurts no other."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from pydantic import BaseModel

from cloudherd.clouds.protocol import Capabilities, CloudError, ErrorKind
from cloudherd.clouds.registry import Registry
from cloudherd.clouds.simulated import Simulated

GOOD = """
from pydantic import BaseModel
from cloudherd.clouds.protocol import Capabilities

class Model(BaseModel):
    pass

class Good:
    name = "good"
    capabilities = Capabilities(False, False, False, 1024, 30)
    credentials_model = options_model = launch_options_model = Model
    def connect(self, connection):
        raise NotImplementedError

class Nameless(Good):
    name = "other"

class Mute(Good):
    name = "mute"
    capabilities = None

class Shapeless(Good):
    name = "shapeless"
    options_model = dict

class Unconnected(Good):
    name = "unconnected"
    connect = None

class Raising:
    def __init__(self):
        raise RuntimeError("key=s3cret")
"""


class Installed:
    """Packages laid out as an installer would, in a directory of the test's."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, package: str, entry_points: str) -> None:
        info = self._root / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)

    def __call__(self) -> Iterator[Distribution]:
        return iter(Distribution.discover(path=[str(self._root)]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    (tmp_path / "acme_clouds.py").write_text(GOOD)
    (tmp_path / "quitting_clouds.py").write_text("raise SystemExit(3)")
    (tmp_path / "broken_clouds.py").write_text("import a_module_that_nobody_has  # s3cret")
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = Installed(tmp_path)
    packages.add("cloudherd", "[cloudherd.clouds]\nsimulated = cloudherd.clouds.simulated:Simulated\n")
    return packages


def refusal(registry: Registry, name: str) -> CloudError:
    with pytest.raises(CloudError) as caught:
        registry.provider(name)
    assert caught.value.kind is ErrorKind.INVALID
    assert "s3cret" not in str(caught.value)
    return caught.value


def test_our_own_providers_are_installed() -> None:
    registry = Registry()
    assert {"simulated", "ec2"} <= set(registry.names)
    assert isinstance(registry.provider("simulated"), Simulated)


def test_a_third_party_s_provider_is_found_in_its_package(installed: Installed) -> None:
    installed.add("acme", "[cloudherd.clouds]\ngood = acme_clouds:Good\n")
    registry = Registry(installed)
    assert registry.names == ("good", "simulated")
    provider = registry.provider("good")
    assert isinstance(provider.capabilities, Capabilities)
    assert issubclass(provider.options_model, BaseModel)
    assert registry.provider("good") is provider


def test_an_unknown_name_is_refused_with_those_that_there_are(installed: Installed) -> None:
    error = refusal(Registry(installed), "openstak")
    assert error.code == "UnknownProvider"
    assert error.message == "No provider 'openstak' is installed, only simulated."


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("broken_clouds:Cloud", "ModuleNotFoundError"),
        ("quitting_clouds:Cloud", "SystemExit"),
        ("no_such_module:Cloud", "ModuleNotFoundError"),
        ("acme_clouds:NoSuchClass", "AttributeError"),
        ("acme_clouds:Raising", "RuntimeError"),
        ("acme_clouds:Nameless", "it does not call itself 'bad'"),
    ],
)
def test_a_broken_provider_is_refused_and_the_others_work(installed: Installed, target: str, told: str) -> None:
    installed.add("acme", f"[cloudherd.clouds]\nbad = {target}\ngood = acme_clouds:Good\n")
    registry = Registry(installed)
    error = refusal(registry, "bad")
    assert error.message == f"The provider 'bad' of acme cannot be used: {told}."
    assert registry.provider("good").name == "good"
    assert registry.provider("simulated").name == "simulated"


@pytest.mark.parametrize(
    ("name", "told"),
    [("mute", "it declares no capabilities"), ("shapeless", "its options_model is no"), ("unconnected", "connect")],
)
def test_what_is_no_provider_is_told_what_it_lacks(installed: Installed, name: str, told: str) -> None:
    installed.add("acme", f"[cloudherd.clouds]\n{name} = acme_clouds:{name.capitalize()}\n")
    assert told in refusal(Registry(installed), name).message


def test_a_package_with_unreadable_metadata_hurts_no_other(installed: Installed) -> None:
    installed.add("acme", "[cloudherd.clouds]\nthis is no entry point\n")
    assert Registry(installed).provider("simulated").name == "simulated"


def test_nobody_takes_the_place_of_our_own(installed: Installed) -> None:
    installed.add("aaa", "[cloudherd.clouds]\nsimulated = acme_clouds:Good\n")
    assert isinstance(Registry(installed).provider("simulated"), Simulated)


def test_nothing_is_imported_before_it_is_asked_for(installed: Installed) -> None:
    installed.add("acme", "[cloudherd.clouds]\nquitting = quitting_clouds:Cloud\n")
    assert "quitting" in Registry(installed).names
