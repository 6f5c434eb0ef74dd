"""Incidents 6, 7 and 9: sweeps that deleted all workers, reaped a slow creation, or ended adopted VMs."""

from __future__ import annotations

from cloudherd.agent.settings import AgentSettings
from cloudherd.agent.sweep import SweepMemory, sweep, untagged
from cloudherd.api import Instance, ObjectKey
from cloudherd.clouds.protocol import VM, VMState
from tests.unit.agent.facts import ID, OTHER_ID, record, seen, up, vm
from tests.unit.agent.facts import untagged as late

SETTINGS = AgentSettings(orphan_age=600, predecessor_age=3600, sweep_cap=2)


class Sweeper:
    """Sweeps again and again, as an agent does at every poll."""

    def __init__(self, *records: Instance, unreadable: int = 0) -> None:
        self.memory = SweepMemory()
        self.records = list(records)
        self.unreadable = unreadable

    def at(self, monotonic: float, *vms: VM) -> list[str]:
        known = {one.key: one for one in self.records}

        def lookup(key: ObjectKey) -> object | None:
            return known.get(key)

        listed = seen(*vms)
        more = untagged(listed, self.records, "inst")
        found = sweep(listed, lookup, len(self.records), self.unreadable, self.memory, SETTINGS, monotonic, more)
        return [orphan.vm.id for orphan in found]


def orphan(number: int, state: VMState = VMState.RUNNING) -> VM:
    return vm(f"i-{number}", state, of=record(f"old-worker-{number}", id_=f"6f0c0000-0000-4000-8000-{number:012d}"))


def test_an_orphan_must_have_been_seen_for_ten_minutes() -> None:
    sweeper = Sweeper(record())
    assert sweeper.at(0, orphan(1)) == []
    assert sweeper.at(599, orphan(1)) == []
    assert sweeper.at(600, orphan(1)) == ["i-1"]


def test_one_that_was_out_of_sight_starts_anew() -> None:
    sweeper = Sweeper(record())
    sweeper.at(0, orphan(1))
    sweeper.at(300)
    assert sweeper.at(600, orphan(1)) == []


def test_few_at_a_time_the_oldest_first() -> None:
    sweeper = Sweeper(record())
    sweeper.at(0, orphan(3))
    sweeper.at(10, *(orphan(number) for number in range(1, 5)))
    assert sweeper.at(700, *(orphan(number) for number in range(1, 5))) == ["i-3", "i-1"]


def test_a_vm_with_its_record_is_no_orphan_whether_the_record_knows_of_it_or_not() -> None:
    sweeper = Sweeper(record())
    sweeper.at(0, vm("i-1"))
    assert sweeper.at(9000, vm("i-1")) == []


def test_a_vm_that_is_ending_is_left_to_end() -> None:
    sweeper = Sweeper(record())
    sweeper.at(0, orphan(1, VMState.DELETING))
    assert sweeper.at(9000, orphan(1, VMState.DELETING)) == []


def test_a_predecessor_has_an_hour() -> None:
    sweeper = Sweeper(record(id_=OTHER_ID))
    sweeper.at(0, vm("i-1", of=record(id_=ID)))
    assert sweeper.at(3599, vm("i-1", of=record(id_=ID))) == []
    assert sweeper.at(3600, vm("i-1", of=record(id_=ID))) == ["i-1"]


def test_a_second_vm_goes_only_while_the_first_is_there() -> None:
    sweeper = Sweeper(record(status=up("i-1")))
    sweeper.at(0, vm("i-1"), vm("i-2"))
    assert sweeper.at(3600, vm("i-1"), vm("i-2")) == ["i-2"]
    alone = Sweeper(record(status=up("i-1")))
    alone.at(0, vm("i-2"))
    assert alone.at(3600, vm("i-2")) == []


def test_a_second_vm_without_tags_goes_too_and_a_first_one_never() -> None:
    sweeper = Sweeper(record(status=up("i-1")))
    sweeper.at(0, vm("i-1"), late("i-2"))
    assert sweeper.at(3600, vm("i-1"), late("i-2")) == ["i-2"]
    starting = Sweeper(record())
    starting.at(0, late("i-1"))
    assert starting.at(9000, late("i-1")) == []


def test_records_that_vanished_behind_our_back_stop_it() -> None:
    many = [record(f"batch-worker-{number}") for number in range(10)]
    sweeper = Sweeper(*many)
    sweeper.at(0, orphan(1))
    sweeper.records = many[:4]
    assert sweeper.at(600, orphan(1)) == []


def test_records_that_we_let_go_ourselves_do_not() -> None:
    many = [record(f"batch-worker-{number}") for number in range(10)]
    sweeper = Sweeper(*many)
    sweeper.at(0, orphan(1))
    sweeper.records, sweeper.memory.released = many[:4], 6
    assert sweeper.at(600, orphan(1)) == ["i-1"]


def test_a_cloud_that_suddenly_shows_less_than_half_stops_it() -> None:
    sweeper = Sweeper(record())
    everything = [orphan(number) for number in range(12)]
    sweeper.at(0, *everything)
    assert sweeper.at(700, *everything[:5]) == []
    assert sweeper.at(760, *everything[:5]) == ["i-0", "i-1"]


def test_an_account_with_an_unreadable_record_is_not_swept() -> None:
    sweeper = Sweeper(record(), unreadable=1)
    sweeper.at(0, orphan(1))
    assert sweeper.at(9000, orphan(1)) == []
