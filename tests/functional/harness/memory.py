# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What a core file of a process would hold."""

import re

PAGE = 4096
_CHUNK = 1 << 20
_SHADOW = 1 << 40  # larger are only the areas where AddressSanitizer notes what may be read
_PRESENT, _SWAPPED = 1 << 63, 1 << 62


def _areas(pid):
    """(begin, end, rights, flags) of each mapping."""
    begin = end = 0
    rights = ""
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line)
            if head:
                begin, end, rights = int(head[1], 16), int(head[2], 16), head[3]
            elif line.startswith("VmFlags:"):
                yield begin, end, rights, line.split()[1:]


def _present(pagemap, begin, end):
    """Runs of pages that are there, so that reading makes none."""
    pagemap.seek(begin // PAGE * 8)
    entries = memoryview(pagemap.read((end - begin) // PAGE * 8)).cast("Q")
    start = None
    for i, entry in enumerate([*entries, 0]):
        if entry & (_PRESENT | _SWAPPED):
            start = i if start is None else start
        elif start is not None:
            yield begin + start * PAGE, begin + i * PAGE
            start = None


def is_sanitized(pid):
    """Whether it is a build with AddressSanitizer, whose frames are larger: what a thread that has ended
    left in its stack is not overwritten by the next one's."""
    return any(end - begin > _SHADOW for begin, end, _, _ in _areas(pid))


def search(pid, needles, dumped=True):
    """Where, and how often, one of the byte strings stands in memory that a core file has (dumped), or
    in what is left out of it (MADV_DONTDUMP): the number by the start of the mapping."""
    found = {}
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for begin, end, rights, flags in _areas(pid):
            if "w" not in rights or ("dd" in flags) == dumped or end - begin > _SHADOW:
                continue
            for start, stop in _present(pagemap, begin, end):
                for at in range(start, stop, _CHUNK):
                    memory.seek(at)
                    try:
                        content = memory.read(min(stop - at, _CHUNK + 64))
                    except OSError:
                        break
                    n = sum(content.count(needle) for needle in needles)
                    if n > 0:
                        found[hex(begin)] = found.get(hex(begin), 0) + n
    return found
