# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A row of the list of faults."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass
class Row:
    """What is done, and what is allowed to come of it. Rows with equal beds share one."""

    name: str
    title: str
    fault: Callable
    data_bar_ms: float | None = 0  # on top of the outages that the row marks; None: no bar
    signalling_bar_ms: float | None = 2500
    roams: bool = True  # mobiles register all the time
    has_short: bool = True  # a short-lived binding runs out meanwhile
    quick: bool = False  # part of --quick
    bed: dict = dataclasses.field(default_factory=dict)  # arguments of Bed
