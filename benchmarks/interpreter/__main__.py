"""Tries everything that the code interpreter promises, and prints the table.

    python -m benchmarks.interpreter                       the short form, here
    python -m benchmarks.interpreter --full                the long form: half an hour each setting
    python -m benchmarks.interpreter --full --everyone     as root: as root and as an ordinary
                                                           user, in bubblewrap and in Landlock
    python -m benchmarks.interpreter --rows deaths,cells --tier landlock-3
    python -m benchmarks.interpreter --rows hostile --size 1

Ends with an error when anything failed; what failed is printed below the table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.interpreter import ROWS, Setting
from benchmarks.interpreter.users import as_ordinary_user, with_readable_python
from glmdemo.config import PROJECT_ROOT
from glmdemo.sandbox import Isolation, probe


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--everyone", action="store_true")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--tier", default="")
    parser.add_argument("--size", type=int, help="instead of the form's own")
    options = parser.parse_args()
    if options.everyone:
        return _for_everyone(options)
    return _here(options, Isolation(options.tier or probe().tier))


def _for_everyone(options: argparse.Namespace) -> int:
    failed = 0
    for tier in ("bubblewrap", "landlock"):
        command = [sys.executable, "-m", "benchmarks.interpreter", "--tier", tier]
        command += ["--rows", options.rows, *["--full"] * options.full]
        command += [] if options.size is None else ["--size", str(options.size)]
        for settled in ([*with_readable_python(), *command], as_ordinary_user(command)):
            failed += subprocess.run(settled, cwd=PROJECT_ROOT).returncode
    return failed


def _here(options: argparse.Namespace, isolation: Isolation) -> int:
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    print(f"\n| {isolation.tier} as {user} | result | passed | seconds |\n|---|---|---|---|")
    failures = []
    # Socket paths are short, and an ordinary user's folder is his own.
    with TemporaryDirectory(prefix="glm-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o711)
        setting = Setting(isolation, Path(folder))
        for name in options.rows.split(","):
            row = ROWS[name]
            size = row.full if options.full else row.short
            began = time.monotonic()
            result = row.run(setting, size if options.size is None else options.size)
            verdict = "**no**" if result.failures else "yes"
            seconds = time.monotonic() - began
            print(f"| {row.title} | {result.text} | {verdict} | {seconds:.0f} |", flush=True)
            failures += [f"{name}: {failure}" for failure in result.failures]
    print("\n".join(failures))
    return min(len(failures), 1)


if __name__ == "__main__":
    sys.exit(main())
