"""How kills are dealt to rounds and phases."""

from __future__ import annotations

from random import Random

import pytest

from tests.kills.run import SETUPS, dealt


@pytest.mark.parametrize("kills", [1, 10, 37, 100])
def test_every_kill_is_dealt_and_two_setups_at_least_have_their_turn(kills: int) -> None:
    deals = dealt(kills, Random(1))
    assert sum(sum(deal.kills) for deal in deals) == kills
    assert [deal.setup for deal in deals[:2]] == [*SETUPS][:2]


def test_a_hundred_leave_no_phase_out_and_stop_the_control_plane_in_one_that_is_disturbed() -> None:
    for deal in dealt(100, Random(1)):
        assert min(deal.kills) >= 2
        assert deal.kills[deal.outage] > 0


def test_a_seed_deals_the_same_again() -> None:
    assert dealt(100, Random(7)) == dealt(100, Random(7)) != dealt(100, Random(8))
