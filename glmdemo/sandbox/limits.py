"""What one conversation's code may use. The defaults suit a laptop and a small server."""

from __future__ import annotations

from dataclasses import dataclass

KB = 1 << 10
MB = 1 << 20
GB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Limits of one code interpreter. Times in seconds, sizes in bytes, texts in characters."""

    cell_seconds: float = 60.0
    """Longest run of one cell."""
    grace_seconds: float = 2.0
    """How long a cell may take to react to an interrupt before its kernel is killed."""
    start_seconds: float = 60.0
    """Longest start of a kernel."""
    check_seconds: float = 10.0
    """How long a kernel may take before a cell to show that it can run one."""
    begin_seconds: float = 5.0
    """How long a kernel that has shown that may take to begin the cell."""
    idle_seconds: float = 1200.0
    """A kernel that ran no cell for this long is closed; its files stay."""
    busy_seconds: float = 60.0
    """A kernel that ran no cell for this long may be closed to make room for another."""

    process_memory: int = 2 * GB
    """Private memory of one process (RLIMIT_DATA)."""
    total_memory: int = 3 * GB
    """Memory of all processes of one kernel together."""
    host_reserve: float = 0.05
    """Part of the machine's memory; when less is free, the largest kernel is closed."""
    host_disk: int = 256 * MB
    """When the disk of the work directories has less room than this, the largest kernel is
    closed."""
    processes: int = 128
    """Processes and threads of one kernel."""
    left_processes: int = 64
    """Processes that a cell may leave running when it ends."""
    open_files: int = 512
    signals: int = 1024
    """Timers and queued signals of one user, which take the system's own memory."""
    cpu_seconds: int = 3600
    """CPU time of one process over all its cells."""
    niceness: int = 5

    file_bytes: int = 256 * MB
    """Largest single file that code can write."""
    disk_bytes: int = 512 * MB
    """All files of one conversation together."""
    disk_files: int = 5000
    scratch_bytes: int = 128 * MB
    """Size of /tmp and of /dev/shm, each held in memory."""
    upload_bytes: int = 20 * MB
    download_bytes: int = 50 * MB

    text_chars: int = 100_000
    """Text that one cell may show; the rest is cut with a note."""
    outputs: int = 2000
    """Separate outputs that one cell may show."""
    message_bytes: int = 16 * MB
    """Largest single message that is accepted from a kernel."""
    received_bytes: int = 512 * MB
    """All messages of one cell together."""
    stray_bytes: int = 64 * MB
    """All messages that come when no cell runs, and so much more with every minute."""
    image_bytes: int = 8_000_000
    """All encoded pictures of one cell together."""
    image_pixels: int = 40_000_000

    def rlimits(self) -> dict[str, int]:
        """The limits that the operating system enforces on each process, by their RLIMIT names.

        Address space is only a backstop: libraries reserve far more of it than they use.
        """
        return {
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_DATA": self.process_memory,
            "RLIMIT_AS": 4 * self.process_memory,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_MEMLOCK": 8 * MB,
            "RLIMIT_SIGPENDING": self.signals,
        }
