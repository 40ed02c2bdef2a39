"""What PyTorch's caching allocator counts as allocated, blocks that are larger than the tensors in them, and what it takes for those.

Source: PyTorch 2.9, c10/cuda/CUDACachingAllocator.cpp: sizes are rounded to 512 bytes; up to 1 MiB they come from segments of 2 MiB
and are
always split, up to 10 MiB from segments of 20 MiB, above from segments of their own rounded to 2 MiB; a large block is split only
if more
than 1 MiB is left (`should_split`); the smallest free block that is large enough is taken (`get_free_block`); a freed block is
joined with
free neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

SMALL, LARGE, MIN_LARGE, ROUND = 1 << 20, 20 << 20, 10 << 20, 2 << 20


class Allocator:
    """The pool of large blocks; small ones are never larger than their rounded size. `allocated` are the bytes of blocks in use, `reserved`
    those of the segments of large ones."""

    def __init__(self) -> None:
        self.allocated = 0
        self.reserved = 0
        self._next = 0
        self._free: list[tuple[int, int]] = []
        # Start of each block: its size, the start of the block before it in its segment (-1 for none) and of the one behind it.
        self._blocks: dict[int, list[int]] = {}

    def take(self, size: int) -> int:
        """Allocates; returns what `give` takes. Small sizes have no block and return -1."""
        size = -(-size // 512) * 512
        if size <= SMALL:
            self.allocated += size
            return -1
        at = bisect_left(self._free, (size, -1))
        if at < len(self._free):
            whole, start = self._free.pop(at)
        else:
            whole, start = LARGE if size < MIN_LARGE else -(-size // ROUND) * ROUND, self._next
            self.reserved += whole
            # Segments never touch.
            self._next += whole + 1
            self._blocks[start] = [whole, -1, -1]
        if whole - size > SMALL:
            rest, behind = start + size, self._blocks[start][2]
            self._blocks[rest] = [whole - size, start, behind]
            if behind >= 0:
                self._blocks[behind][1] = rest
            self._blocks[start][0], self._blocks[start][2] = size, rest
            insort(self._free, (whole - size, rest))
        self.allocated += self._blocks[start][0]
        return start

    def give(self, start: int) -> None:
        """Frees a large block."""
        size, before, behind = self._blocks[start]
        self.allocated -= size
        if behind >= 0 and self._is_free(behind):
            self._remove(behind)
            size += self._blocks[behind][0]
            self._join(start, behind)
        if before >= 0 and self._is_free(before):
            self._remove(before)
            self._join(before, start)
            start, size = before, self._blocks[before][0]
        self._blocks[start][0] = size
        insort(self._free, (size, start))

    def _is_free(self, start: int) -> bool:
        at = bisect_left(self._free, (self._blocks[start][0], start))
        return at < len(self._free) and self._free[at] == (self._blocks[start][0], start)

    def _remove(self, start: int) -> None:
        self._free.pop(bisect_left(self._free, (self._blocks[start][0], start)))

    def _join(self, first: int, second: int) -> None:
        size, _, behind = self._blocks.pop(second)
        self._blocks[first][0] += size
        self._blocks[first][2] = behind
        if behind >= 0:
            self._blocks[behind][1] = first


def held(sizes: Iterable[int]) -> int:
    """Bytes that count as allocated once tensors of these sizes are, one after the other, none of them freed."""
    pool = Allocator()
    for size in sizes:
        pool.take(size)
    return pool.allocated
