"""What a reader without a network does with the bundle; test_bundle.py runs this in such a place.

python offline_reader.py BUNDLE CHROMIUM CELLS
"""

import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import sync_playwright


def confirm_there_is_no_network():
    with socket.socket() as probe:
        probe.settimeout(5)
        refusal = probe.connect_ex(("192.0.2.1", 443))  # an address kept for documentation
    assert refusal == errno.ENETUNREACH, os.strerror(refusal)


def start_loopback():
    """Let a program talk to itself, as a notebook does with its kernel; a namespace begins without.

    This is `ip link set lo up`, for where there is no `ip`.
    """
    set_flags, up = 0x8914, 1
    with socket.socket() as control:
        fcntl.ioctl(control, set_flags, struct.pack("16sh22x", b"lo", up))


def read_the_site(bundle, chromium):
    """Follow the first link, then look at every page: pictures there, formulas set, no error."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        errors = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        # What is given up because the next page is already asked for is no fault.
        tab.on(
            "requestfailed",
            lambda r: None if r.failure == "net::ERR_ABORTED" else errors.append(r.url),
        )
        tab.goto((bundle / "START-HERE.html").as_uri())
        tab.get_by_role("link", name="Open the book").click()
        tab.wait_for_url("**/intro.html")
        for page in sorted((bundle / "site" / "book").glob("*.html")):
            tab.goto(page.as_uri())
            tab.evaluate("() => window.MathJax?.startup?.promise")
            formulas = tab.locator("article .math").count()
            assert tab.locator("article .math > mjx-container svg").count() >= formulas, page
            missing = tab.evaluate("""() => [...document.images]
                .filter(i => i.complete && !i.naturalWidth).map(i => i.src)""")
            assert not missing, missing
        assert not errors, errors
        browser.close()


def run_the_notebook(bundle, n_cells):
    """The training notebook with the bundle's own package."""
    target = bundle / "installed"
    wheel = next(bundle.glob("saebook-*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", target, wheel], check=True)
    os.environ["PYTHONPATH"] = str(target)
    notebook = nbformat.read(bundle / "notebooks" / "training.ipynb", as_version=4)
    del notebook.cells[n_cells:]
    notebook.cells.append(nbformat.v4.new_code_cell("import saebook; print(saebook.__file__)"))
    here = {"metadata": {"path": str(bundle / "notebooks")}}
    NotebookClient(notebook, timeout=900, resources=here).execute()
    assert notebook.cells[-1].outputs[0].text.startswith(str(target))
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert "mean loss of the epoch" in printed


if __name__ == "__main__":
    bundle, chromium, n_cells = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    start_loopback()
    confirm_there_is_no_network()
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bundle, check=True)
    read_the_site(bundle, chromium)
    run_the_notebook(bundle, n_cells)
    print("read and run without a network")
