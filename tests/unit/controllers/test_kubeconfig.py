"""Which configuration is taken, and what a person is told where none can be used."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from controllers.connection import connect
from controllers.kubeconfig import KubeconfigError, load_configuration

_CONFIG = """
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{token: hush}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def write(path: Path, server: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(_CONFIG.format(server=server))
    return str(path)


async def test_a_file_that_is_named_comes_before_the_environment_and_that_before_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / ".kube" / "config", "http://home")
    assert (await load_configuration()).host == "http://home"
    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "environment", "http://environment"))
    assert (await load_configuration()).host == "http://environment"
    assert (await load_configuration(write(tmp_path / "named", "http://named"))).host == "http://named"


async def test_the_proxy_of_the_current_context_is_taken_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://of.the.environment")  # for which hosts is another's to say
    without = write(tmp_path / "without", "https://cluster")
    assert (await load_configuration(without)).proxy is None
    behind = write(tmp_path / "behind", 'https://cluster", proxy-url: "http://proxy')
    assert (await load_configuration(behind)).proxy == "http://proxy"


@pytest.mark.parametrize(
    ("before", "field"), [("server: ", "certificate-authority-data"), ("token: ", "client-certificate-data")]
)
async def test_what_is_no_certificate_is_told_in_a_sentence_that_says_where_it_stands(
    tmp_path: Path, before: str, field: str
) -> None:
    content = _CONFIG.format(server="https://cluster")
    nonsense = f"{field}: {b64encode(b'hush').decode()}, {before}"
    (tmp_path / "broken").write_text(content.replace(before, nonsense))
    with pytest.raises(KubeconfigError, match=r"certificates for https://cluster cannot be used .* kubeconfig") as no:
        await connect(str(tmp_path / "broken"))
    assert "hush" not in str(no.value)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        KubeconfigError, match=r"There is no kubeconfig at \S+/absent: write one there, or name another"
    ):
        await load_configuration(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "clusters: {", "users: [{name: u, token: hush}]\ncurrent-context: x", "current-context: hush"],
)
async def test_a_file_that_makes_no_sense_is_refused_in_a_sentence_that_does_not_quote_it(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "broken").write_text(content)
    with pytest.raises(KubeconfigError, match="cannot be used") as refused:
        await load_configuration(str(tmp_path / "broken"))
    assert "hush" not in str(refused.value)


async def test_a_pod_without_its_token_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(KubeconfigError, match="service account of this pod cannot be used"):
        await load_configuration()
