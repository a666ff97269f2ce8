#!/usr/bin/env bash
# `jcache notebook execute` of a notebook whose outputs are in the cache.
#
# Versions:  jupyter-cache 1.0.1, ipykernel 7.4.0, Python 3.11
# Expected:  it is not run again unless --force asks for it, as with `jcache project execute`.
# Observed:  it is run again. The option's default is the letter "f", which counts as true; --help says
#            "[default: f]". With --no-force, and with `project execute`, nothing is run.
# Seen:      first 1, again 1, --no-force 0, project 0
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet jupyter-cache==1.0.1 ipykernel==7.4.0
export PATH="$folder/env/bin:$PATH" JUPYTERCACHE="$folder/cache" JUPYTER_PATH="$folder/env/share/jupyter"
mkdir cache
cat >look.py <<'PYTHON'
import subprocess

import nbformat

cells = [nbformat.v4.new_code_cell("print(1)")]
kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), "one.ipynb")


def ran(*command):
    """How many notebooks a command of jcache executed."""
    done = subprocess.run(["jcache", *command], capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).count("Execution Successful")


ran("notebook", "add", "one.ipynb")
found = {
    "first": ran("notebook", "execute", "one.ipynb"),
    "again": ran("notebook", "execute", "one.ipynb"),
    "--no-force": ran("notebook", "execute", "--no-force", "one.ipynb"),
    "project": ran("project", "execute"),
}
print(", ".join(f"{name} {count}" for name, count in found.items()))
assert found == {"first": 1, "again": 1, "--no-force": 0, "project": 0}, found
PYTHON
env/bin/python look.py
