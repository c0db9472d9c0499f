#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The committed reference files are what the key table says.

usage: doc_test.py UNWIRED-CONFIG-DOC SOURCE-ROOT
"""

import difflib
import json
import pathlib
import subprocess
import sys

FILES = {
    "schema": "config/schema.json",
    "markdown": "docs/configuration.md",
    "man": "docs/man/unwired.conf.5",
}


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    failed = 0
    for form, name in FILES.items():
        wanted = subprocess.run([program, form], check=True, capture_output=True, text=True).stdout
        if form == "schema":
            json.loads(wanted)
        found = (root / name).read_text()
        if found != wanted:
            failed += 1
            sys.stdout.writelines(difflib.unified_diff(
                found.splitlines(True), wanted.splitlines(True), name, "key table"))
            print(f"{name} has drifted: run {program} {form} > {name}")
    if subprocess.run([program, "nonsense"], capture_output=True).returncode != 2:
        failed += 1
        print("a wrong argument is not refused")
    return failed


sys.exit(main())
