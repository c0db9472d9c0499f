# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A flame graph: an SVG of where a program's processor time goes, from sampled stacks."""

import html
import re

WIDTH, ROW, TOP, PAD = 1200, 17, 44, 10
CHAR = 6.6  # of the font, at most
LEAST = 0.4  # narrower boxes are not drawn
# Without the debug symbols of a library, its inner functions have the name of whatever it exports last
# before them: the library's own says more.
LIBRARIES = (
    (re.compile(r"OPENSSL_|^(ossl|X509|SEED|ENGINE|CRYPTO|EVP|HMAC|SHA1|OSSL)_"), "libcrypto"),
    (re.compile(r"^mdb_(str|env_info|reader|version)"), "liblmdb"),
    (re.compile(r"^(event|evutil|evbuffer|bufferevent|evmap)_"), "libevent"),
)
# What a frame is of, by its name; the first that fits.
KINDS = (
    (re.compile(r"^libcrypto"), "#d9a441"),
    (re.compile(r"^(liblmdb|mdb_)"), "#8fae5d"),
    (re.compile(r"^(_|libevent|epoll|madvise|mmap|munmap|fdatasync|pwrite|writev|send|recv|mem(cpy|set))"), "#9aa7b5"),
    (re.compile(""), "#e0785a"),
)
SUFFIX = re.compile(r"(@+[\w.]+)?(<[0-9a-f]+>)?(\[inline\])?$")


def name_of(frame):
    for pattern, library in LIBRARIES:
        if pattern.search(frame):
            return library
    name = SUFFIX.sub("", frame)
    name = re.sub(r"\.(constprop|part|isra|cold)[.0-9]*", "", name)
    name = re.sub(r"^(pwrite|lseek|mmap)64$", r"\1", name.removeprefix("__GI_").removeprefix("__libc_"))
    return re.sub("^(mem[a-z]+)_avx.*|^(mem[a-z]+)_evex.*", r"\1\2", name.lstrip("_"))


def stacks_of(text, within):
    """{stack: samples} of collapsed stacks ("a;b;c 7"), from the function `within` on; others are left out."""
    found = {}
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [name_of(frame) for frame in stack.split(";")]
        if within not in frames or not count.isdigit():
            continue
        kept = []
        for frame in frames[frames.index(within):]:
            if not kept or kept[-1] != frame:
                kept.append(frame)
        found[tuple(kept)] = found.get(tuple(kept), 0) + int(count)
    return found


def _tree(stacks):
    """[name, samples, {name: child}] of all stacks, which begin alike."""
    root = ["", 0, {}]
    for stack, count in stacks.items():
        node = root
        node[1] += count
        for frame in stack:
            node = node[2].setdefault(frame, [frame, 0, {}])
            node[1] += count
    return root


def _depth(node):
    return 1 + max((_depth(child) for child in node[2].values()), default=0)


def _boxes(node, x, level, scale):
    """(name, samples, x, width, level) of a node's children and theirs, the widest first."""
    for child in sorted(node[2].values(), key=lambda c: -c[1]):
        width = child[1] * scale
        if width >= LEAST:
            yield child[0], child[1], x, width, level
            yield from _boxes(child, x, level + 1, scale)
        x += width


def svg(stacks, title):
    """The graph, roots on top. Boxes say their share when pointed at."""
    root = _tree(stacks)
    total = root[1]
    height = TOP + (_depth(root) - 1) * ROW + PAD
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="{PAD}" y="22" font-size="14">{html.escape(title)}, {total} samples</text>']
    for name, count, x, width, level in _boxes(root, PAD, 0, (WIDTH - 2 * PAD) / total):
        fill = next(color for pattern, color in KINDS if pattern.search(name))
        share = f"{name}: {100 * count / total:.1f} %"
        y = TOP + level * ROW
        shown = name if len(name) * CHAR < width else name[:max(0, int(width / CHAR) - 2)] + ".."
        lines.append(f'<g><title>{html.escape(share)}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
                     f'height="{ROW - 1}" fill="{fill}" stroke="#ffffff" stroke-width="0.5"/>'
                     + (f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(shown)}</text>'
                        if width > 4 * CHAR else "") + "</g>")
    return "\n".join([*lines, "</svg>", ""])
