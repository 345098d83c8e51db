"""Runs inside every kernel before its first cell, and is never imported by the application.

It settles where the kernel works and keeps a cell that prints without end from flooding the
connection: past `cut` characters the text is dropped, past `stop` the cell gets an exception.
"""


def _prepare(cut: int = 2_000_000, stop: int = 20_000_000) -> None:
    import os
    import sys
    import threading
    from typing import TextIO

    from IPython import get_ipython

    class OutputLimitExceeded(Exception):
        pass

    printed = 0
    streams = sys.stdout, sys.stderr

    def between_cells(_: object) -> None:
        nonlocal printed
        printed = 0
        sys.stdout, sys.stderr = streams  # a cell that ended early may have left others there

    def bound(stream: TextIO) -> None:
        write = stream.write

        def bounded_write(text: str) -> int:
            nonlocal printed
            before, printed = printed, printed + len(text)
            if before > stop and threading.current_thread() is threading.main_thread():
                printed = cut
                raise OutputLimitExceeded(f"this cell printed more than {stop:,} characters")
            if before < cut:
                # A lone surrogate cannot be sent.
                write(text[: cut - before].encode(errors="backslashreplace").decode())
            return len(text)

        stream.write = bounded_write  # type: ignore[method-assign]
        stream.close = lambda: None  # type: ignore[method-assign]

    # The kernel starts in a place where nothing can be planted, and its user's files come
    # last: a file named json.py of an earlier cell must not replace the real module.
    work = os.path.expanduser("~")
    os.chdir(work)
    sys.path.append(work)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        bound(stream)
        # What programs print is copied to the application's log too. When that has reached the
        # largest size of a file, the thread that passes it on would end.
        if copy := getattr(stream, "_original_stdstream_copy", None):
            os.dup2(nowhere, copy)
    os.close(nowhere)
    shell = get_ipython()
    shell.events.register("pre_run_cell", between_cells)
    # The application shall know that the cell has begun, though its code may let no other thread
    # run: to flush waits until what was sent before has left.
    shell.events.register("pre_run_cell", lambda _: streams[0].flush())
    shell.events.register("post_run_cell", between_cells)
    try:
        for descriptor in os.openpty():
            os.close(descriptor)
    except OSError:
        shell.system = shell.system_raw  # "!command" without a terminal


_prepare()
del _prepare
