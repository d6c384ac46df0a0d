"""What `backfill` tells while it runs."""

from hotpixeld.cli.backfill import TELL_S, plain_progress


def test_off_a_terminal_a_line_now_and_then_tells_rate_and_time_left() -> None:
    now_s = [100.0]
    told: list[str] = []
    show = plain_progress(lambda: now_s[0], told.append)
    show(0, 10_000)
    show(10, 10_000)
    assert told == []
    now_s[0] += TELL_S
    show(60, 10_000)
    show(61, 10_000)
    assert told == ["60 of 10000 photos, 2.0/s, 1:22:50 left\n"]
    now_s[0] += TELL_S
    show(10_000, 10_000)
    assert told[1:] == ["10000 of 10000 photos, 166.7/s, 0:00:00 left\n"]
