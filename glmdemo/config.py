"""Settings: one frozen dataclass, read from environment variables in one place.

Every field names its variable and explains it; docs/environment.md is generated from them
(`python -m glmdemo.config`) and a test keeps the two equal.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glmdemo.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def _setting(variable: str, help_text: str, default: Any, read: Callable[[str], Any] = str) -> Any:
    metadata = {"variable": variable, "help": help_text, "read": read}
    return dataclasses.field(default=default, metadata=metadata)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return known[text.strip().lower()]


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError("must be 1 or more")
    return number


def _choice(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


@dataclass(frozen=True)
class Settings:
    """All settings of the application. `Settings()` holds the defaults."""

    model_path: str | None = _setting(
        "MODEL_PATH",
        "Folder of the model to run. Unset: the small built-in demo model.",
        None,
    )
    model_family: str | None = _setting(
        "MODEL_FAMILY",
        "Chat format of the model, where it is not recognised from its files.",
        None,
    )
    tokenizer_path: str | None = _setting(
        "TOKENIZER_PATH",
        "Folder of the tokenizer. Unset: the model's own.",
        None,
    )
    lora_path: str | None = _setting(
        "LORA_PATH",
        "Folder of a LoRA adapter (PEFT), merged into the model in memory.",
        None,
    )
    pt_path: str | None = _setting(
        "PT_PATH",
        "Folder of a P-tuning v2 checkpoint, whose prefix every conversation starts from.",
        None,
    )
    pre_seq_len: int | None = _setting(
        "PRE_SEQ_LEN",
        "Number of tokens that the prefix must have. Unset: as many as there are.",
        None,
        _positive,
    )
    device: str = _setting(
        "GLMDEMO_DEVICE",
        "Where the model runs: auto (CUDA when present, else CPU), cpu, cuda, cuda:1 …",
        "auto",
    )
    dtype: str = _setting(
        "GLMDEMO_DTYPE",
        "Number format of the weights: auto, float32, bfloat16 or float16.",
        "auto",
        _choice("auto", "float32", "bfloat16", "float16"),
    )
    quantize: str | None = _setting(
        "GLMDEMO_QUANTIZE",
        "int8 or int4: the weights of linear layers are packed while they are read, which takes "
        "about a half or a quarter of the memory of 16 bits, see families.md. Unset: as they are.",
        None,
        _choice("int8", "int4"),
    )
    threads: int | None = _setting(
        "GLMDEMO_THREADS",
        "Processor threads of one network step, on a CPU. Unset: half of the processors.",
        None,
        _positive,
    )
    data_dir: Path | None = _setting(
        "GLMDEMO_DATA_DIR",
        "Folder for stored conversations. Unset: the user's data directory.",
        None,
        _path,
    )
    tools_dir: Path = _setting(
        "GLMDEMO_TOOLS_DIR",
        "Folder whose Python files define the tools of the Tool page.",
        PROJECT_ROOT / "tools",
        _path,
    )
    mcp_config: Path | None = _setting(
        "GLMDEMO_MCP_CONFIG",
        "JSON file that names MCP servers, see tools.md. Unset: mcp.json in the data folder.",
        None,
        _path,
    )
    max_rounds: int = _setting(
        "GLMDEMO_MAX_ROUNDS",
        "How many replies of the model one turn may take (calls included).",
        8,
        _positive,
    )
    guided_calls: str = _setting(
        "GLMDEMO_GUIDED_CALLS",
        "Whether a local model's tool calls are held to the tools' schemas while it writes them: "
        "on, off, or auto (for the built-in model). The Tool page can change it.",
        "auto",
        _choice("auto", "on", "off"),
    )
    cell_timeout: int = _setting(
        "GLMDEMO_CELL_TIMEOUT",
        "Longest run of one code cell, in seconds.",
        60,
        _positive,
    )
    upload_mb: int = _setting(
        "GLMDEMO_UPLOAD_MB",
        "Largest file that can be uploaded, in MB.",
        20,
        _positive,
    )
    kernel_name: str | None = _setting(
        "IPYKERNEL",
        "Jupyter kernel that runs code cells, by its name in `jupyter kernelspec list` (a Python "
        "environment of your own with more packages); the variables of its `kernel.json` are not "
        "passed on. Unset: the application's own environment.",
        None,
    )
    allow_unisolated: bool = _setting(
        "GLMDEMO_ALLOW_UNISOLATED",
        "1 runs the code interpreter without isolation where none works. Model-written code "
        "can then do whatever you can: only on a machine you can afford to lose.",
        False,
        _flag,
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (default: the process's environment).

        An empty variable counts as unset. Raises SettingsError that names the variable.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            variable, text = field.metadata["variable"], ""
            text = environ.get(variable, "").strip()
            if not text:
                continue
            try:
                values[field.name] = field.metadata["read"](text)
            except (KeyError, ValueError) as error:
                reason = error if isinstance(error, ValueError) else "use 1 or 0"
                raise SettingsError(f"{variable}={text!r} cannot be used: {reason}.") from None
        return cls(**values)

    def data_folder(self) -> Path:
        """The folder for what is kept; it may be missing."""
        if self.data_dir is not None:
            return self.data_dir
        import platformdirs

        return platformdirs.user_data_path("glmdemo", appauthor=False)

    def mcp_file(self) -> Path:
        """The file that names MCP servers; it may be missing."""
        return self.mcp_config or self.data_folder() / "mcp.json"

    def files_folder(self) -> Path:
        """The folder for the files of conversations; it may be missing."""
        return self.data_folder() / "files"

    def database(self) -> Path:
        """The file that conversations are stored in; its folder is made when it is missing."""
        folder = self.data_folder()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"GLMDEMO_DATA_DIR: {folder} cannot be made ({error.strerror}); "
                "set it to a folder you can write to."
            ) from None
        return folder / "conversations.db"


def _shown(default: Any) -> str:
    """A default as the table shows it: nothing where the help text says what unset means."""
    if isinstance(default, Path):
        return str(default.relative_to(PROJECT_ROOT))
    if isinstance(default, bool):
        return str(int(default))
    return "" if default is None else str(default)


def environment_table() -> str:
    """The Markdown table of docs/environment.md."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    for field in dataclasses.fields(Settings):
        shown = _shown(field.default)
        lines.append(f"| `{field.metadata['variable']}` | {shown} | {field.metadata['help']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(environment_table())  # noqa: T201
