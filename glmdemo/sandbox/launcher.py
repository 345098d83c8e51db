"""Lays the last restrictions on its own process, then becomes the command.

    python -I -S launcher.py CONFIG COMMAND ...

Standard library only: it runs inside the walls, before anything else. CONFIG is a JSON
object:

    rlimits   RLIMIT name -> value
    niceness  what is added to the process's niceness
    user      a number to give up root's identity for, or null
    landlock  the version of Landlock to use, or 0 for none
    read      paths that Landlock lets the process read and run
    write     paths below which Landlock lets it do everything
    filter    a seccomp program in hexadecimal digits, or null; OWN_PID and OWN_GROUP in it
              stand for this process and its group

Landlock: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import stat
import struct
import sys
from collections.abc import Sequence
from typing import Any

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
RIGHTS_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# What a version of Landlock brought: number of file rights (moving between directories,
# truncation, devices), two rights for TCP, two scopes (abstract sockets, signals).
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16}
FIRST_WITH_NETWORK, FIRST_WITH_SCOPES = 4, 6
# Process numbers that no process has.
OWN_PID, OWN_GROUP = 0x7FFFFF01, 0x7FFFFF02


def main() -> None:
    config, command = json.loads(sys.argv[1]), sys.argv[2:]
    os.umask(0o077)
    os.nice(config["niceness"])
    if sys.platform == "linux":
        # When memory runs out on the machine, this process goes before the model does.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    for name, value in config["rlimits"].items():
        if hasattr(resource, name):  # Linux has all of them
            _limit(getattr(resource, name), value)
    if config["landlock"]:
        _restrict_files(config["landlock"], config["read"], config["write"])
    if config["user"] is not None:
        _become(config["user"])
    if config["filter"] is not None:
        _filter_calls(bytes.fromhex(config["filter"]))
    os.execv(command[0], command)  # noqa: S606


def landlock_abi() -> int:
    """The version of Landlock that this system has, 0 when it has none."""
    if sys.platform != "linux":
        return 0
    version = _syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)
    return max(version, 0)


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (OSError, ValueError):
        if sys.platform == "linux":  # elsewhere some limits exist in name only
            raise


def _restrict_files(abi: int, read: Sequence[str], write: Sequence[str]) -> None:
    everything = (1 << FILE_RIGHTS[min(abi, max(FILE_RIGHTS))]) - 1
    handled = [everything]
    if abi >= FIRST_WITH_NETWORK:
        handled.append(3)
    if abi >= FIRST_WITH_SCOPES:
        handled.append(3)
    attributes = struct.pack(f"{len(handled)}Q", *handled)
    size = ctypes.c_size_t(len(attributes))
    ruleset = _checked(_syscall(CREATE_RULESET, attributes, size, 0))
    for paths, rights in ((read, EXECUTE | READ_FILE | READ_DIR), (write, everything)):
        for path in filter(os.path.exists, paths):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            allowed = rights if is_directory else rights & RIGHTS_OF_A_FILE
            rule = struct.pack("=Qi", allowed, descriptor)
            _checked(_syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0))
            os.close(descriptor)
    _checked(_syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _filter_calls(program: bytes) -> None:
    names = {OWN_PID: os.getpid(), OWN_GROUP: -os.getpid() & 0xFFFFFFFF}
    program = b"".join(
        struct.pack("HBBI", code, if_true, if_false, names.get(value, value))
        for code, if_true, if_false, value in struct.iter_unpack("HBBI", program)
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_program)


def _prctl(option: int, *arguments: Any) -> None:
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    _checked(ctypes.CDLL(None, use_errno=True).prctl(option, *padded))


def _syscall(*arguments: Any) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(*arguments))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


if __name__ == "__main__":
    main()
