from __future__ import annotations

import pytest

from cloudherd.agent.identity import (
    bears_identity,
    is_ours,
    parse_provider_id,
    provider_id,
    tags_for,
    token_for,
)
from tests.unit.agent.facts import HOME, ID, OTHER_ID, record


def test_all_identity_tags_are_ours_whatever_the_user_wrote() -> None:
    tags = tags_for(
        "inst", record(tags={"team": "atlas", "cloudherd-id": "x", "Cloudherd-Name": "y", "cloudherd": "z"})
    )
    assert tags == {
        "team": "atlas",
        "cloudherd-installation": "inst",
        "cloudherd-account": "physics.home",
        "cloudherd-namespace": "physics",
        "cloudherd-name": "batch-worker-0",
        "cloudherd-id": ID,
    }


def test_the_token_is_the_same_for_every_attempt_and_for_no_other_vm() -> None:
    token = token_for("inst", record())
    assert token == token_for("inst", record(flavor="another"))
    others = [
        token_for("inst", record(id_=OTHER_ID)),
        token_for("inst", record("batch-worker-1")),
        token_for("elsewhere", record()),
    ]
    assert len({token, *others}) == 4
    assert token.startswith("ch-")
    assert len(token) == 43


@pytest.mark.parametrize("scope", ["physics.home", "123456789012/us-east-1"])
def test_a_provider_id_can_be_read_again(scope: str) -> None:
    text = provider_id("ec2", scope, "i-0abc")
    assert text == f"ec2://{scope}/i-0abc"
    assert parse_provider_id(text) == (scope, "i-0abc")


@pytest.mark.parametrize("text", ["", "i-0abc", "ec2://i-0abc"])
def test_what_is_no_provider_id_names_nothing(text: str) -> None:
    assert parse_provider_id(text) == ("", "")


def test_a_vm_is_ours_only_with_this_installation_and_this_account() -> None:
    tags = tags_for("inst", record())
    assert is_ours(tags, "inst", HOME)
    assert not is_ours(tags, "another", HOME)
    assert not is_ours({**tags, "cloudherd-account": "physics.other"}, "inst", HOME)
    assert not is_ours({**tags, "cloudherd-installation": ""}, "", HOME)
    assert not is_ours({}, "inst", HOME)


def test_an_owner_is_named_only_by_whole_tags() -> None:
    tags = tags_for("inst", record())
    assert bears_identity(tags)
    assert not bears_identity({key: value for key, value in tags.items() if key != "cloudherd-id"})
