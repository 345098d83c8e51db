"""A file's whole way: dropped into the page, read by a cell, looked at, downloaded again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from browser_steps import answer, send, wait_for_end
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
TABLE = "城市,人口\n北京,2189\n上海,2487\n".encode("gbk")


def attach(page: Page, name: str, data: bytes) -> None:
    """Put a file beside the message that is being written."""
    upload = page.get_by_test_id("stChatInput").locator("input[type=file]")
    upload.set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})
    expect(page.get_by_test_id("stChatInput").get_by_text(name)).to_be_visible()
    # Streamlit ignores the Enter key while a file is on its way.
    expect(page.get_by_test_id("stChatInputSubmitButton")).to_be_enabled()


def test_a_file_is_read_shown_and_downloaded(server: str, page: Page) -> None:
    page.goto(f"{server}/code_interpreter")
    attach(page, "人口.csv", TABLE)
    send(page, "Sum up the csv")
    wait_for_end(page)
    expect(answer(page)).to_contain_text("sum: 4676")
    rows = page.locator(".st-key-file_rows")
    expect(rows).to_contain_text("summary.csv")

    rows.get_by_role("button", name="人口.csv").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_test_id("stDataFrame")).to_be_visible()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "人口.csv"
    assert Path(download.value.path()).read_bytes() == TABLE
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["summary.csv", "人口.csv"]


def test_files_are_dropped_into_the_sidebar_and_survive_a_reload(server: str, page: Page) -> None:
    page.goto(f"{server}/code_interpreter")
    page.locator(".st-key-no_files summary").click()
    upload = page.locator(".st-key-no_files input[type=file]")
    upload.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"})
    rows = page.locator(".st-key-file_rows")
    expect(rows).to_contain_text("notes.txt")
    page.reload()
    expect(rows).to_contain_text("notes.txt")
    rows.get_by_role("button", name="notes.txt").click()
    expect(page.get_by_role("dialog")).to_contain_text("hello")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(0)
