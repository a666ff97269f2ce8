"""How soon a reader with a phone sees something of each page: `make book` first, then

    python -m benchmarks.first_paint

prints milliseconds until the first words are drawn, the median of three visits with an empty cache,
and the bytes fetched. The browser slows the connection down itself, to what its developer tools
call "Fast 4G".
"""

import statistics
import threading
from functools import partial
from http.server import ThreadingHTTPServer

from playwright.sync_api import sync_playwright

from tests.site.conftest import CHROMIUM, SITE, Host

FAST_4G = {"downloadThroughput": 1_012_500, "uploadThroughput": 168_750, "latency": 165}
PHONE = {"width": 390, "height": 844}


def visit(browser, address):
    """Milliseconds until the first paint with content, and bytes fetched, of a first visit."""
    context = browser.new_context(viewport=PHONE)
    tab = context.new_page()
    network, fetched = context.new_cdp_session(tab), []
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", {"offline": False, **FAST_4G})
    network.on("Network.loadingFinished", lambda e: fetched.append(e["encodedDataLength"]))
    tab.goto(address, wait_until="networkidle")
    paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return paint, sum(fetched)


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, SITE, "/"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for page in sorted((SITE / "book").glob("*.html")):
            address = f"http://127.0.0.1:{server.server_port}/book/{page.name}"
            paints, weights = zip(*(visit(browser, address) for _ in range(3)), strict=True)
            median = statistics.median(paints)
            print(f"{page.stem:<20} {median:6.0f} ms {max(weights) / 1e3:7.0f} kB", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
