"""Tell everything that needs the site's public address what `html.baseurl` in _config.yml says.

Social cards, the page for addresses that do not exist (which a host serves at any depth, so that
its own links must be absolute), and sitemap.xml, which search engines read.
"""

from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape


def spread_address(app, config):
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path


def write_sitemap(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    addresses = [
        app.config.html_baseurl + app.builder.get_target_uri(page)
        for page in sorted(app.env.found_docs)
    ]
    entries = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n',
        encoding="utf-8",
    )


def setup(app):
    app.connect("config-inited", spread_address)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
