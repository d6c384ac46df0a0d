"""The waiting room: photos that were told of or found, until they have been quiet long enough.

No file is touched here and no clock read: what was seen of a file, and when, is passed in.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from hotpixeld.edge.found import Identity
from hotpixeld.edge.whole import Look, Writer

How = Literal["found", "created", "closed", "moved"]
_STRENGTH: dict[How, int] = {"found": 0, "created": 1, "closed": 2, "moved": 3}

RETRIES_S = (5.0, 30.0, 300.0, 3600.0, 21600.0)
_LONGEST_LOOK_S = 60.0  # between two looks at a file that someone holds open for writing


def patience_s(how: How, writer: Writer, links: int, settle_s: float) -> float | None:
    """Return how long a file must have been quiet before it is taken; None: not now at all.

    Parameters
    ----------
    how : {"found", "created", "closed", "moved"}
        The strongest word that came of it: from a scan only, or which event.
    writer : {"none", "open", "unknown"}
        What a lease told.
    links : int
        Number of names; a file that was linked into place was whole before.
    settle_s : float
        The quiet time that a file being written must show.
    """
    if writer == "open":
        return None
    if how == "moved" and writer == "none":  # renamed into place: it was finished elsewhere
        return settle_s / 4
    if how == "created" and writer == "unknown" and links == 1:
        return settle_s * 6  # nothing said that its writer has closed it, and nothing can
    return settle_s


@dataclass(slots=True)
class _Waiting:
    identity: Identity
    how: How
    quiet_since_s: float
    due_s: float
    fresh: bool = False
    tries: int = 0


class Room:
    """Photos by path, each with when to look at it next; arriving ones come out before old ones.

    Parameters
    ----------
    settle_s : float
        The quiet time that a file being written must show.
    bound : int
        So many old, so many arriving and so many refused photos are kept at most.
    """

    def __init__(self, settle_s: float, bound: int = 10_000) -> None:
        self._settle_s = settle_s
        self._bound = bound
        self._waiting: dict[str, _Waiting] = {}
        self._tries: dict[str, tuple[Identity, int]] = {}
        self._timetable: list[tuple[float, int, str]] = []
        self._ticket = 0
        self._arrived: deque[str] = deque()
        self._old: deque[str] = deque()
        self._fresh_count = self._retry_count = 0
        self._held_since_s: dict[str, float] = {}

    def __len__(self) -> int:
        """Photos that wait for their first hand-over (refused ones that are tried again: not)."""
        return len(self._waiting) - self._retry_count

    @property
    def settling(self) -> int:
        """Photos that only time keeps here; those that a writer holds open are not counted."""
        return len(self) - len(self._held_since_s)

    def held_for(self, seconds: float, now_s: float) -> list[str]:
        """Return the photos that a writer has held open, unchanged, for so long."""
        return [path for path, since_s in self._held_since_s.items() if now_s - since_s >= seconds]

    @property
    def half_empty(self) -> bool:
        """True if there is room again for what was turned away."""
        return len(self) <= self._bound // 2

    def holds(self, path: str, identity: Identity) -> bool:
        """Return True if this very content waits already."""
        waiting = self._waiting.get(path)
        return waiting is not None and waiting.identity == identity

    def tell(self, path: str, identity: Identity, how: How, now_s: float, *, fresh: bool) -> bool:
        """Take in a photo, or what is new of one; False: no room, and nothing changed.

        A changed identity starts the quiet time anew, and ends any waiting for another try.
        """
        waiting = self._waiting.get(path)
        if waiting is not None and waiting.identity == identity:
            if _STRENGTH[how] > _STRENGTH[waiting.how]:
                waiting.how = how
                if not waiting.tries:
                    self._look_at(path, max(now_s, waiting.quiet_since_s + self._first_s(how)))
            return True
        if waiting is None:
            same = self._fresh_count if fresh else len(self) - self._fresh_count
            if same >= self._bound:
                return False
        else:
            fresh = fresh or waiting.fresh
            self.leave(path)
        self._waiting[path] = _Waiting(identity, how, now_s, now_s, fresh)
        self._fresh_count += fresh
        self._look_at(path, now_s + self._first_s(how))
        return True

    def leave(self, path: str) -> None:
        """Drop a photo, because it is gone or in other hands."""
        waiting = self._waiting.pop(path, None)
        self._held_since_s.pop(path, None)
        if waiting is not None:
            if waiting.tries:
                self._retry_count -= 1
            else:
                self._fresh_count -= waiting.fresh

    def leave_retries(self) -> None:
        """Drop all photos that wait for another try."""
        self._tries.clear()
        for path in [path for path, waiting in self._waiting.items() if waiting.tries]:
            self.leave(path)

    def due_s(self) -> float | None:
        """Return when something is to be looked at next; None: never."""
        if self._arrived or self._old:
            return 0.0
        return self._timetable[0][0] if self._timetable else None

    def next_due(self, now_s: float) -> str | None:
        """Return a photo to look at now; the caller then says what it saw, or that it left."""
        while self._timetable and self._timetable[0][0] <= now_s:
            due_s, _, path = heapq.heappop(self._timetable)
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due_s == due_s:
                (self._arrived if waiting.fresh else self._old).append(path)
        for ready in (self._arrived, self._old):
            while ready:
                path = ready.popleft()
                waiting = self._waiting.get(path)
                if waiting is not None and waiting.due_s <= now_s:
                    return path
        return None

    def judge(self, path: str, seen: Look, now_s: float) -> bool:
        """Return True if the photo is to be handed over now, and let it leave the room.

        Else it stays: a changed one begins its quiet time anew, one that a writer holds open is
        looked at more and more rarely.
        """
        waiting = self._waiting[path]
        if waiting.identity != seen.identity:
            # changed, and no event said that its writer is through
            how: How = "found" if waiting.how == "found" else "created"
            self.tell(path, seen.identity, how, now_s, fresh=waiting.fresh)
            return False
        quiet_s = now_s - waiting.quiet_since_s
        patience = patience_s(waiting.how, seen.writer, seen.links, self._settle_s)
        if patience is None:
            if not waiting.tries:
                self._held_since_s.setdefault(path, now_s)
            self._look_at(path, now_s + min(max(quiet_s / 2, self._settle_s), _LONGEST_LOOK_S))
            return False
        if quiet_s < patience and not waiting.tries:
            self._held_since_s.pop(path, None)
            self._look_at(path, waiting.quiet_since_s + patience)
            return False
        self.leave(path)
        return True

    def retry(
        self, path: str, identity: Identity, now_s: float, at_most_s: float = math.inf
    ) -> float | None:
        """Let a refused photo wait for another try; return in how many seconds.

        Returns
        -------
        float or None
            One of `RETRIES_S`, the last again and again, but not more than ``at_most_s``; None: no
            room, so only a change of the file brings it back.
        """
        known, tries = self._tries.pop(path, (identity, 0))
        tries = tries + 1 if known == identity else 1
        self._tries[path] = (identity, tries)
        if len(self._tries) > self._bound:
            del self._tries[next(iter(self._tries))]
        self.leave(path)
        if self._retry_count >= self._bound:
            return None
        delay_s = min(RETRIES_S[min(tries, len(RETRIES_S)) - 1], at_most_s)
        self._waiting[path] = _Waiting(identity, "found", now_s, now_s, tries=tries)
        self._retry_count += 1
        self._look_at(path, now_s + delay_s)
        return delay_s

    def _first_s(self, how: How) -> float:
        return self._settle_s / 4 if how == "moved" else self._settle_s

    def _look_at(self, path: str, due_s: float) -> None:
        self._waiting[path].due_s = due_s
        self._ticket += 1
        heapq.heappush(self._timetable, (due_s, self._ticket, path))
