"""Put all that a reader without a network needs into one file: _build/bundle/saebook-VERSION.zip.

    python scripts/make_bundle.py

The site as last built, the notebooks, the package as a wheel (with the data in it), licences,
checksums, and a page that says where to start. The same inputs give the same zip, byte for byte.
"""

import hashlib
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import saebook

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
# Whose styles, scripts and pictures are part of the site.
IN_THE_SITE = (
    "sphinx",
    "pydata-sphinx-theme",
    "sphinx-book-theme",
    "sphinx-copybutton",
    "sphinx-design",
    "sphinx-exercise",
    "sphinx-togglebutton",
    "myst-nb",
)
LICENCES = {
    "LICENSE": "code-BSD-3-Clause.txt",
    "LICENSE-text": "text-and-figures-CC-BY-4.0.txt",
    "saebook/datasets/README.md": "data.md",
}
START = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Start here: sparse autoencoders, an executable book</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 1.1rem/1.6 Georgia, serif; max-width: 38rem; margin: 2rem auto; padding: 0 1rem; }}
  pre {{ font-size: 0.9rem; white-space: pre-wrap; }}
</style>
</head>
<body>
<main>
<h1>Sparse autoencoders, an executable book</h1>
<p>Version {version}. Everything here works without a network, except where it says otherwise.</p>
<h2>Read</h2>
<p><a href="site/book/intro.html">Open the book</a>. Formulas, search and tabs work from these
files.</p>
<h2>Run</h2>
<p>The folder <code>notebooks</code> has every chapter with code. They need Python 3.10 to 3.13 with
Jupyter, PyTorch and TensorFlow, which are too large to be in here: install them
<strong>while there is a network</strong>.</p>
<pre>pip install -c constraints.txt jupyterlab torch tensorflow scikit-learn scikit-image PyWavelets
pip install -c constraints.txt {wheel}</pre>
<p>From then on nothing is downloaded, since the data are inside the package:</p>
<pre>jupyter lab notebooks</pre>
<h2>Check</h2>
<p><code>SHA256SUMS</code> has the checksum of every file:
<code>sha256sum --check --quiet SHA256SUMS</code>
(on macOS <code>shasum -a 256 -c SHA256SUMS</code>).</p>
<h2>Licences</h2>
<p>The code is under the BSD 3-Clause licence, text and figures under CC BY 4.0, the data under
licences of their own: see the folder <code>licences</code>, also for the software that draws the
site.</p>
</main>
</body>
</html>
"""


def build_wheel(folder):
    """The package as a wheel, built by the hatchling that is installed; pip would download one."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, str(ROOT)], check=True)
    (wheel,) = Path(folder).glob("*.whl")
    return wheel


def third_party_licences():
    """The licence files that the packages in the site came with."""
    for package in IN_THE_SITE:
        for file in metadata.files(package):
            named = file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))
            if named and ".dist-info" in str(file):
                yield f"{package}-{file.stem}.txt", file.locate().read_bytes()
    # MathJax comes without its licence, the Apache License 2.0, whose text requests brings along.
    (apache,) = (file for file in metadata.files("requests") if file.name == "LICENSE")
    yield "mathjax-LICENSE.txt", apache.locate().read_bytes()


def contents(wheel):
    """The path of each file in the bundle, and what is in it."""
    files = {wheel.name: wheel.read_bytes()}
    files["START-HERE.html"] = START.format(version=saebook.__version__, wheel=wheel.name).encode()
    files["constraints.txt"] = (ROOT / "constraints.txt").read_bytes()
    for name, shown in LICENCES.items():
        files[f"licences/{shown}"] = (ROOT / name).read_bytes()
    for name, text in third_party_licences():
        files[f"licences/site/{name}"] = text
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shown = SITE / "_sources" / "book" / path.name  # with pictures
        files[f"notebooks/{path.name}"] = shown.read_bytes()
    for path in SITE.rglob("*"):
        if path.is_file():
            files[f"site/{path.relative_to(SITE).as_posix()}"] = path.read_bytes()
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    files["SHA256SUMS"] = "".join(sums).encode()
    return files


def make_bundle(folder):
    """Write the bundle into a folder and return its path."""
    if not (SITE / "index.html").exists():
        sys.exit("The bundle needs the site: run `make book` first.")
    with tempfile.TemporaryDirectory() as scratch:
        files = contents(build_wheel(scratch))
    name = f"saebook-{saebook.__version__}"
    target = Path(folder) / f"{name}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(target, "w") as bundle:
        for path in sorted(files):
            entry = ZipInfo(f"{name}/{path}")  # its date is the same whenever the bundle is made
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, files[path])
    return target


if __name__ == "__main__":
    target = make_bundle(ROOT / "_build" / "bundle")
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}")
