import pytest

from hotpixeld.edge.found import Identity
from hotpixeld.edge.room import RETRIES_S, How, Room, patience_s
from hotpixeld.edge.whole import Look, Writer


def seen(version: int = 1, writer: Writer = "none", links: int = 1) -> Look:
    return Look(identity(version), writer, links)


def identity(version: int = 1) -> Identity:
    return Identity(1, 2, 3, version, version)


@pytest.mark.parametrize(
    ("how", "writer", "links", "quiet_s"),
    [
        ("closed", "none", 1, 2.0),
        ("closed", "unknown", 1, 2.0),
        ("moved", "none", 1, 0.5),
        ("moved", "unknown", 1, 2.0),
        ("created", "none", 1, 2.0),
        ("created", "unknown", 1, 12.0),  # nobody said that its writer closed it
        ("created", "unknown", 2, 2.0),  # a hard link to a file that was whole before
        ("found", "unknown", 1, 2.0),
        ("moved", "open", 1, None),
        ("found", "open", 1, None),
    ],
)
def test_patience_depends_on_what_is_known_of_the_writer(
    how: How, writer: Writer, links: int, quiet_s: float | None
) -> None:
    assert patience_s(how, writer, links, settle_s=2.0) == quiet_s


def test_a_photo_comes_out_once_it_was_quiet_for_the_settle_time() -> None:
    room = Room(settle_s=2.0)
    assert room.tell("a", identity(), "closed", 10.0, fresh=True)
    assert room.next_due(11.9) is None
    assert room.due_s() == 12.0
    assert room.next_due(12.0) == "a"
    assert room.judge("a", seen(), 12.0)
    assert len(room) == 0
    assert room.next_due(99.0) is None


def test_every_change_starts_the_quiet_time_anew() -> None:
    room = Room(settle_s=2.0)
    room.tell("a", identity(1), "created", 0.0, fresh=True)
    for second in range(1, 50):
        room.tell("a", identity(second + 1), "closed", float(second), fresh=True)
        assert room.next_due(second + 0.9) is None
    assert room.next_due(51.0) == "a"
    assert not room.judge("a", seen(99), 51.0)  # changed without a word: it is looked at again
    assert room.next_due(53.0) == "a"
    assert room.judge("a", seen(99), 53.0)


def test_a_writer_is_waited_for_however_long_it_pauses_and_looked_at_more_and_more_rarely() -> None:
    room = Room(settle_s=2.0)
    room.tell("a", identity(), "created", 0.0, fresh=True)
    now_s, looks = 0.0, 0
    while now_s < 3600:
        due_s = room.due_s()
        assert due_s is not None
        now_s = due_s
        assert room.next_due(now_s) == "a"
        assert not room.judge("a", seen(writer="open"), now_s)
        looks += 1
    assert looks < 80
    room.tell("a", identity(), "closed", now_s, fresh=True)
    assert room.next_due(now_s) == "a"  # quiet for long, and now closed
    assert room.judge("a", seen(), now_s)


def test_arriving_photos_come_out_before_old_ones() -> None:
    room = Room(settle_s=2.0)
    for number in range(5):
        room.tell(f"old{number}", identity(), "found", 0.0, fresh=False)
    room.tell("new", identity(), "closed", 1.0, fresh=True)
    order = []
    for now_s in (2.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        path = room.next_due(now_s)
        assert path is not None
        assert room.judge(path, seen(), now_s)
        order.append(path)
    assert order == ["old0", "new", "old1", "old2", "old3", "old4"]


def test_a_refused_photo_is_tried_again_ever_more_rarely_and_never_given_up() -> None:
    room = Room(settle_s=2.0)
    now_s = 0.0
    delays = []
    for _ in range(7):
        delay_s = room.retry("a", identity(), now_s)
        assert delay_s is not None
        assert len(room) == 0
        assert room.next_due(now_s + delay_s - 0.1) is None
        now_s += delay_s
        assert room.next_due(now_s) == "a"
        assert room.judge("a", seen(), now_s)
        delays.append(delay_s)
    assert delays == [*RETRIES_S, RETRIES_S[-1], RETRIES_S[-1]]


def test_a_change_brings_a_refused_photo_back_at_once_and_resets_the_delays() -> None:
    room = Room(settle_s=2.0)
    for _ in range(4):
        room.retry("a", identity(1), 0.0)
    room.tell("a", identity(2), "closed", 1.0, fresh=True)
    assert len(room) == 1
    assert room.next_due(3.0) == "a"
    assert room.judge("a", seen(2), 3.0)
    assert room.retry("a", identity(2), 3.0) == RETRIES_S[0]


def test_a_full_room_turns_away_and_changes_nothing_but_keeps_places_for_arriving_photos() -> None:
    room = Room(settle_s=2.0, bound=3)
    for number in range(3):
        assert room.tell(f"old{number}", identity(), "found", 0.0, fresh=False)
    assert not room.tell("old3", identity(), "found", 0.0, fresh=False)
    assert not room.half_empty
    assert room.tell("new", identity(), "closed", 0.0, fresh=True)
    assert room.tell("old1", identity(2), "found", 0.0, fresh=False)  # news of one that is here
    assert len(room) == 4
    for number in range(3):
        room.leave(f"old{number}")
    assert room.half_empty
    assert room.tell("old3", identity(), "found", 0.0, fresh=False)
