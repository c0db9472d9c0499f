# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Mpps over the number of bindings as an SVG picture, written by hand."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 70, 225, 64, 92
INK, FAINT, GRID = "#1b1f24", "#57606a", "#d8dee4"
COLOURS = {"encap": "#0b62c4", "decap": "#1a7f37", "mixed": "#8250df", "mac": "#6e7781",
           "memory": "#bc4c00"}
PEER_COLOURS = ("#cf222e", "#bf3989", "#9a6700", "#3b7a78", "#5a32a3", "#7d4e00")
STYLE = ("text{font-family:system-ui,'DejaVu Sans',Arial,sans-serif;fill:" + INK + "}"
         ".small{font-size:12px}.tick{font-size:12px;fill:" + FAINT + "}")


def _human(n):
    for limit, letter in ((1_000_000, "M"), (1_000, "k")):
        if n >= limit:
            return f"{n / limit:g}{letter}"
    return f"{n:g}"


class Axes:
    """Log scales both ways: the bindings double and the rates of peers fall by tens."""

    def __init__(self, xs, ys):
        self.x0, self.x1 = math.log10(min(xs)), math.log10(max(xs))
        if self.x1 - self.x0 < 1:
            self.x0, self.x1 = self.x0 - 0.5, self.x1 + 0.5
        self.y0 = math.floor(math.log10(min(ys) * 0.9) * 3) / 3
        self.y1 = math.log10(max(ys) * 1.25)

    def x(self, n):
        inner = WIDTH - LEFT - RIGHT
        return LEFT + (math.log10(n) - self.x0) / (self.x1 - self.x0) * inner

    def y(self, mpps):
        inner = HEIGHT - TOP - BOTTOM
        return HEIGHT - BOTTOM - (math.log10(mpps) - self.y0) / (self.y1 - self.y0) * inner

    def y_ticks(self):
        for decade in range(math.floor(self.y0) - 1, math.ceil(self.y1) + 1):
            for step in (1, 2, 5):
                value = step * 10.0 ** decade
                if self.y0 - 1e-9 <= math.log10(value) <= self.y1:
                    yield value

    def x_ticks(self):
        for power in range(math.ceil(self.x0 - 1e-9), math.floor(self.x1 + 1e-9) + 1):
            yield 10 ** power


def _text(x, y, text, anchor="start", css="small", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}"{more}>{escape(text)}</text>'


def _grid(axes):
    out = []
    for value in axes.y_ticks():
        y = axes.y(value)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        out.append(_text(LEFT - 8, y + 4, f"{value:g}", "end", "tick"))
    for value in axes.x_ticks():
        x = axes.x(value)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
        out.append(_text(x, HEIGHT - BOTTOM + 18, _human(value), "middle", "tick"))
    out.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, "bindings", "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(_text(20, middle, "million packets a second, one core", "middle",
                     more=f' transform="rotate(-90 20 {middle:.1f})"'))
    return out


def _line(axes, series):
    """A curve, its points and, where rounds are known, what they scattered over."""
    colour, dash = series["colour"], series.get("dash")
    points = [(axes.x(n), axes.y(mpps)) for n, mpps, *_ in series["points"]]
    width = 3 if series.get("is_ours") else 1.8
    style = f'stroke="{colour}" stroke-width="{width}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    out = ['<polyline fill="none" ' + style + ' points="' +
           " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>']
    for (x, y), (_, _, *spread) in zip(points, series["points"]):
        if spread:
            low, high = (axes.y(v) for v in spread)
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                       f'stroke="{colour}" stroke-width="1.2"/>')
        if not dash or len(points) == 1:
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if series.get("is_ours") else 3}" '
                       f'fill="{colour}"/>')
    return out


def _labels(axes, all_series):
    """Names at the right ends of the curves, moved apart where they would lie upon each other."""
    gap = 15
    wanted = sorted((axes.y(s["points"][-1][1]), i) for i, s in enumerate(all_series))
    places = []
    for y, i in wanted:
        places.append([max(y, places[-1][0] + gap) if places else max(y, TOP + 4), i])
    over = places[-1][0] - (HEIGHT - BOTTOM) if places else 0
    limit = HEIGHT - BOTTOM
    if over > 0:
        for place in reversed(places):
            place[0] = min(place[0], limit)
            limit = place[0] - gap
    out = []
    for y, i in places:
        series = all_series[i]
        n, mpps = series["points"][-1][:2]
        x = WIDTH - RIGHT + 12
        out.append(f'<line x1="{axes.x(n) + 6:.1f}" y1="{axes.y(mpps):.1f}" x2="{x - 3}" y2="{y:.1f}" '
                   f'stroke="{series["colour"]}" stroke-width="0.6" stroke-opacity="0.5"/>')
        weight = "bold" if series.get("is_ours") else "normal"
        out.append(_text(x, y + 4, series["name"],
                         more=f' style="fill:{series["colour"]};font-weight:{weight}"'))
    return out


def draw(title, subtitle, all_series, notes):
    """The picture as text. all_series: {"name", "colour", "points": [(bindings, mpps[, low, high])],
    "is_ours"?, "dash"?}; notes: lines below."""
    xs = [p[0] for s in all_series for p in s["points"]]
    ys = [v for s in all_series for p in s["points"] for v in p[1:]]
    axes = Axes(xs, ys)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img">',
           f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           _text(LEFT, 28, title, more=' style="font-size:18px;font-weight:bold"'),
           _text(LEFT, 48, subtitle, css="tick")]
    out += _grid(axes)
    for series in sorted(all_series, key=lambda s: bool(s.get("is_ours"))):
        out += _line(axes, series)
    out += _labels(axes, all_series)
    for i, note in enumerate(notes):
        out.append(_text(LEFT, HEIGHT - 34 + 15 * i, note, css="tick"))
    return "\n".join(out + ["</svg>", ""])
