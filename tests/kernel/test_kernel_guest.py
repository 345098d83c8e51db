"""What cells find in a kernel: files in any encoding, the promised path, Chinese in plots."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from glmdemo.files import ConversationFiles
from glmdemo.kernel import KernelPool, KernelSession
from glmdemo.outputs import (
    ErrorOutput,
    FigureOutput,
    FormulaOutput,
    ImageOutput,
    Output,
    TextOutput,
    fold,
)
from glmdemo.sandbox import Isolation
from training.generator.cells import CellError
from training.generator.tracebacks import traceback_of

pytestmark = pytest.mark.kernel
CSV = "城市,人口\n北京,2189\n上海,2487\n"


def open_session(isolation: Isolation, folder: Path) -> Iterator[KernelSession]:
    """A kernel with Chinese CSV files."""
    files = ConversationFiles(folder / "kept")
    for encoding in ("gbk", "utf-8", "utf-8-sig", "utf-16"):
        files.put(f"{encoding}.csv", CSV.encode(encoding))
    with KernelPool(isolation=isolation, allow_unisolated=not isolation.available) as pool:
        session = pool.open("talk")
        files.bring_into(session.workdir)
        yield session


@pytest.fixture(scope="module")
def session(
    isolation: Isolation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelSession]:
    yield from open_session(isolation, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def plain_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelSession]:
    """One that stays in the host's file tree."""
    yield from open_session(Isolation("none"), tmp_path_factory.mktemp("plain"))


def run(session: KernelSession, code: str) -> list[Output]:
    return list(fold(session.execute(code)))


def text(outputs: list[Output]) -> str:
    return "".join(o.text for o in outputs if isinstance(o, TextOutput | ErrorOutput))


def test_what_a_model_reads_of_an_error_is_what_it_was_trained_on(session: KernelSession) -> None:
    cell = "import pandas as pd\nframe = pd.DataFrame({'a': [1]})\nframe['b']\nprint('no')"
    (error,) = run(session, cell)
    assert isinstance(error, ErrorOutput)
    number = int(error.text.partition("In[")[2].partition("]")[0])
    assert error.text == traceback_of(cell, CellError("KeyError: 'b'", 3), number)
    assert "pandas/core" in error.traceback


def test_csv_files_are_read_in_the_encoding_they_have(session: KernelSession) -> None:
    outputs = run(
        session,
        "import csv\n"
        "import pandas as pd\n"
        "for name in ('gbk', 'utf-8', 'utf-8-sig', 'utf-16'):\n"
        "    frame = pd.read_csv(f'{name}.csv')\n"
        "    assert frame['人口'].sum() == 4676 and list(frame)[0] == '城市', name\n"
        "    rows = list(csv.reader(open(f'/mnt/data/{name}.csv', newline='')))\n"
        "    assert rows[1] == ['北京', '2189'], rows\n"
        "print(pd.read_csv('gbk.csv', encoding='gbk')['城市'][0], open('gbk.csv', 'rb').read(2))\n"
        "print(next(pd.read_csv('gbk.csv', chunksize=1))['城市'][0])\n",
    )
    assert text(outputs) == "北京 b'\\xb3\\xc7'\n北京\n"


@pytest.mark.parametrize("where", ["session", "plain_session"])
def test_the_promised_path_holds(where: str, request: pytest.FixtureRequest) -> None:
    session = request.getfixturevalue(where)
    assert text(run(session, "print(" + "1+" * 800 + "1)")) == "801\n"
    outputs = run(
        session,
        "import os, pathlib, subprocess\n"
        "folder = pathlib.Path('/mnt/data')\n"
        "(folder / 'out.txt').write_text('x')\n"
        "name = 'out.txt'\n"
        "print(open(f'/mnt/data/{name}').read(), os.getcwd(), folder.resolve())\n"
        "print('saved to /mnt/data/out.txt, not to /mnt/database or a/mnt/data')\n"
        "print(subprocess.check_output(['ls', '/mnt/data/out.txt'], text=True))\n"
        "!ls /mnt/data/out.txt\n"
        "open('/mnt/data/missing.txt')\n",
    )
    shown = text(outputs)
    assert shown.startswith(
        "x /mnt/data /mnt/data\nsaved to /mnt/data/out.txt, not to /mnt/database"
    )
    printed, traceback = shown.split("FileNotFoundError", 1)
    assert printed.count("/mnt/data/out.txt") == 3
    assert "No such file or directory: '/mnt/data/missing.txt'" in traceback
    assert "reading.py" not in shown
    assert str(session.workdir) not in shown


def test_names_of_cells_are_theirs_alone(session: KernelSession) -> None:
    run(session, "%reset -f")
    outputs = run(session, "print([n for n in globals() if 'glmdemo' in n or n == '_teach'])")
    assert text(outputs) == "[]\n"


def test_formulas_pictures_and_figures_come_in_their_best_form(session: KernelSession) -> None:
    outputs = run(
        session,
        "from IPython.display import SVG\n"
        "import sympy\n"
        "display(sympy.sqrt(sympy.Symbol('x')) / 2)\n"
        'display(SVG(\'<svg width="5"><circle r="2"/></svg>\'))\n',
    )
    formula, picture = outputs
    assert formula == FormulaOutput(r"\displaystyle \frac{\sqrt{x}}{2}", "sqrt(x)/2")
    assert isinstance(picture, ImageOutput)
    assert picture.mime == "image/svg+xml"


def test_a_plotly_figure_is_shown_without_nbformat(session: KernelSession) -> None:
    code = "import plotly.graph_objects as go\ngo.Figure(go.Bar(x=['甲'], y=[2])).show()"
    outputs = run(session, code)
    assert [type(output) for output in outputs] == [FigureOutput]


PLOT = """import matplotlib.pyplot as plt
{setup}
for title in {titles}:
    plt.figure(figsize=(3, 2))
    plt.title(f"{{title}} −5", size=20)
    plt.axis("off")
    plt.show()"""
HAS_CHINESE = """from matplotlib import font_manager
print(any(font.name == "SimHei" for font in font_manager.fontManager.ttflist))"""
NO_CHINESE = """from matplotlib import font_manager
manager = font_manager.fontManager
manager.ttflist[:] = [font for font in manager.ttflist if font.name.startswith("DejaVu")]
manager._find_fonts_by_props = type(manager)._find_fonts_by_props.__get__(manager)"""


def test_chinese_is_drawn_whatever_font_is_asked_for(session: KernelSession) -> None:
    if "True" not in text(run(session, HAS_CHINESE)):
        pytest.skip("no Chinese font is installed: apt install fonts-noto-cjk")
    for setup in (
        "",
        "plt.rcParams['font.sans-serif'] = ['SimHei']",
        "plt.rcParams.update(plt.rcParamsDefault)",
        "plt.style.use('ggplot')",
    ):
        outputs = run(session, PLOT.format(setup=setup, titles=["中文", "图表"]))
        assert [type(output) for output in outputs] == [ImageOutput] * 2, "and no warning"
        assert len(pixels(outputs)) == 2, "characters without a font are all the same box"


def test_missing_fonts_are_told_once(session: KernelSession) -> None:
    session.restart()
    setup = f"{NO_CHINESE}\nplt.rcParams['font.sans-serif'] = ['DejaVu Sans']"
    outputs = run(session, PLOT.format(setup=setup, titles=["中文", "图表"]))
    assert text(outputs).count("no font on this machine has them") == 1
    assert "Glyph" not in text(outputs)
    assert len(pixels(outputs)) == 1


def pixels(outputs: list[Output]) -> set[bytes]:
    pictures = [output for output in outputs if isinstance(output, ImageOutput)]
    return {Image.open(io.BytesIO(picture.data)).tobytes() for picture in pictures}
