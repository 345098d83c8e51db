"""The card of an exported model: what it is, how it was made, what it reaches.

    python -m training.card --model glmdemo/models/builtin [--write-passing FILE]

measures the model in a folder and writes its card anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.acceptance.report import Report, counted, in_short, markdown, table_header, table_line
from training.checkpoints import Lineage, read_lineage, write_lineage

_TEMPLATE = Path(__file__).with_name("model_card.md")
_UNMEASURED = "Not measured for this export: `python -m training.evaluate --model` this folder."


def measure_and_write(model: Path, passing: Path | None = None) -> Report:
    """Measure the exported model in `model`, write its card, and to `passing` what to guard.

    The main figures are kept beside the weights, in the entry of their last run.
    """
    from training import evaluate_generated
    from training.acceptance.passing import choose_passing, write_passing
    from training.evaluate import measure

    runs, report = measure(str(model))
    own = evaluate_generated.table(*evaluate_generated.measure(model))
    *earlier, last = read_lineage(model)
    write_lineage([*earlier, {**last, "reached": in_short(report)}], model)
    write_card(model, report, own)
    if passing is not None:
        write_passing(choose_passing(runs.values()), passing)
    return report


def write_card(model: Path, report: Report | None, own: str = "") -> None:
    """Write MODEL_CARD.md of the exported model in `model`, with the figures of `report` and the
    table of the generator's own split."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    card = model_card(read_lineage(model), report, own, config["glmdemo_family"])
    (model / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def model_card(lineage: Lineage, report: Report | None, own: str, family: str) -> str:
    """Markdown. `lineage` are the runs that made the weights; `report` and the table `own` measured
    these; `family` is the name of their chat format."""
    return (
        _TEMPLATE.read_text(encoding="utf-8")
        .replace("{date}", lineage[-1]["ended"])
        .replace("{parameters}", f"{lineage[-1]['parameters'] / 1e6:.1f} million")
        .replace("{tokens}", f"{sum(run['tokens'] for run in lineage) / 1e6:.1f} million")
        .replace("{family}", family)
        .replace("{runs}", _runs(lineage))
        .replace("{measured}", _measured(report))
        .replace("{figures}", markdown(report) if report else _UNMEASURED)
        .replace("{own}", own or _UNMEASURED)
    )


def _runs(lineage: Lineage) -> str:
    """One line for each run; the later ones started from the weights of the one before."""
    measured = list(dict.fromkeys(name for run in lineage for name in run.get("reached", {})))
    lines = table_header("ended", "parameters", "tokens", "steps", "minutes", *measured)
    for run in lineage:
        reached = run.get("reached", {})
        cells = [
            run["ended"],
            f"{run['parameters'] / 1e6:.1f} million",
            f"{run['tokens'] / 1e6:.1f} million",
            str(run["step"]),
            f"{run['seconds'] / 60:.0f}",
            *(counted(reached[name]) if name in reached else "" for name in measured),
        ]
        lines.append(table_line(*cells))
    return "\n".join(lines)


def _measured(report: Report | None) -> str:
    if report is None:
        return ""
    commit = f", commit {report['commit']}" if report["commit"] else ""
    return f"Measured on {report['date']}{commit}."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of an exported model")
    parser.add_argument("--write-passing", type=Path, help="as of training.evaluate")
    options = parser.parse_args()
    print(markdown(measure_and_write(options.model, options.write_passing)))


if __name__ == "__main__":
    main()
