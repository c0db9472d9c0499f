#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""scripts/check finds each kind of violation that is planted in a small tree, and nothing else.

usage: check_test.py SOURCE-ROOT
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HEAD = "// SPDX-License-Identifier: BSD-3-Clause\n// Copyright (c) 2026 the Unwired authors\n"
SPDX = "# SPDX-License-Identifier: BSD-3-Clause\n"
MARK = "TO" + "DO"

# A tree without violations.
CLEAN = {
    "dataplane/base/addr.h": HEAD + "#pragma once\n#include <stdint.h>\n",
    "dataplane/api/records.h": HEAD + '#pragma once\n#include "dataplane/base/addr.h"\n',
    "dataplane/fib.h": HEAD + "#pragma once\n#include <rte_fib.h>\n",
    "config/config.h": HEAD + "#pragma once\n#include <jansson.h>\n",
    "controlplane/codec/mh.h": HEAD + '#pragma once\n#include "dataplane/base/addr.h"\n',
    "controlplane/store.h": HEAD + '#pragma once\n#include "dataplane/api/records.h"\n',
    "controlplane/auth.h": HEAD + "#pragma once\n",
    "ha-sync/peer.h": HEAD + '#pragma once\n#include "controlplane/store.h"\n',
    "mobile/mobile.c":
        HEAD + '#include "controlplane/auth.h"\n#include "controlplane/codec/mh.h"\n',
    "tests/unit/dataplane/t.c": HEAD + '#include <rte_fib.h>\n#include "dataplane/fib.h"\n',
    "meson.build": SPDX + "project('x')\n",
    "scripts/run": "#!/bin/sh\n" + SPDX + "mktemp /tmp/XXXXXX\n",
    "README.md": "Words.\n",
}

# Path, what it holds, and the line that scripts/check must print for it.
PLANTED = [
    ("controlplane/a.c", HEAD + "#include <rte_mbuf.h>\n", "controlplane/a.c:3: includes DPDK"),
    ("dataplane/base/a.c", HEAD + "#include <rte_mbuf.h>\n", "dataplane/base/a.c:3: includes DPDK"),
    ("tests/unit/config/a.c", HEAD + "#include <rte_mbuf.h>\n",
     "tests/unit/config/a.c:3: includes DPDK"),
    ("dataplane/api/a.c", HEAD + "#include <jansson.h>\n",
     "dataplane/api/a.c:3: includes jansson.h"),
    ("dataplane/base/a.c", HEAD + '#include "dataplane/api/records.h"\n',
     'dataplane/base/a.c:3: includes "dataplane/api/records.h"'),
    ("dataplane/a.c", HEAD + '#include "controlplane/store.h"\n',
     'dataplane/a.c:3: includes "controlplane/store.h"'),
    ("controlplane/a.c", HEAD + '#include "dataplane/fib.h"\n',
     'controlplane/a.c:3: includes "dataplane/fib.h"'),
    ("controlplane/a.c", HEAD + '#include "ha-sync/peer.h"\n',
     'controlplane/a.c:3: includes "ha-sync/peer.h"'),
    ("bgp/a.c", HEAD + '#include "ha-sync/peer.h"\n', 'bgp/a.c:3: includes "ha-sync/peer.h"'),
    ("controlplane/codec/a.c", HEAD + '#include "controlplane/store.h"\n',
     'controlplane/codec/a.c:3: includes "controlplane/store.h"'),
    ("mobile/a.c", HEAD + '#include "controlplane/store.h"\n',
     'mobile/a.c:3: includes "controlplane/store.h"'),
    ("mobile/a.c", HEAD + '#include "config/config.h"\n',
     'mobile/a.c:3: includes "config/config.h"'),
    ("config/a.c", HEAD + '#include "dataplane/api/records.h"\n',
     'config/a.c:3: includes "dataplane/api/records.h"'),
    ("config/a.c", HEAD + '#include "tests/unit/dataplane/t.c"\n',
     'config/a.c:3: includes "tests/unit/dataplane/t.c"'),
    ("config/a.c", HEAD + '#include "config.h"\n', 'config/a.c:3: includes "config.h", which is no'),
    ("config/a.c", "int a;\n", "config/a.c:1: is not the line with SPDX"),
    ("config/a.c", HEAD.splitlines()[0] + "\nint a;\n", "config/a.c:2: is not the copyright line"),
    ("config/a.c", "", "config/a.c:1: is not the line with SPDX"),
    ("scripts/a", "#!/bin/sh\ntrue\n", "scripts/a:2: is not the line with SPDX"),
    ("bgp/meson.build", "x = 1\n", "bgp/meson.build:1: is not the line with SPDX"),
    ("config/a.c", HEAD + "int  a;\n", "config/a.c:3: code should be clang-formatted"),
    ("docs/a.md", f"one\n{MARK}: two\n", f"docs/a.md:2: has the word {MARK}"),
]


def run(root):
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    done = subprocess.run([root / "scripts/check"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def plant(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def main():
    source, failed = pathlib.Path(sys.argv[1]), 0

    def expect(what, is_right, output):
        nonlocal failed
        if not is_right:
            failed += 1
            print(f"FAILED: {what}\n{output}")

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        for path, text in CLEAN.items():
            plant(root, path, text)
        shutil.copy(source / ".clang-format", root)
        shutil.copy(source / "scripts/check", root / "scripts/check")
        code, output = run(root)
        expect("a clean tree passes", code == 0 and " 0 violations" in output, output)
        for path, text, wanted in PLANTED:
            file = plant(root, path, text)
            code, output = run(root)
            expect(f"{wanted} is found", code == 1 and " 1 violations" in output and
                   any(line.startswith(wanted) for line in output.splitlines()), output)
            file.unlink()
        body = "\n".join(["\tx++;"] * 61)
        plant(root, "config/a.c", HEAD + "\nvoid f(void)\n{\n" + body + "\n}\n" + "int b;\n" * 600)
        code, output = run(root)
        expect("long files and functions are no violation", code == 0 and
               "config/a.c:4: note: f has 64 lines" in output and
               "config/a.c:1: note: has" in output, output)
    print(f"{len(PLANTED) + 2 - failed} right, {failed} wrong")
    return 1 if failed else 0


sys.exit(main())
