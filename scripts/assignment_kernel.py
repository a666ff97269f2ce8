"""Start a submission's kernel where it can do little harm: the kernel of a course folder.

    python scripts/assignment_kernel.py CONNECTION_FILE    what nbgrader starts
    python scripts/assignment_kernel.py --probe            say how much can be contained here

Always: limits on memory, processor time, file size and open files. Where Linux lets this process
have namespaces of its own (as root, or where users may): a file system that is read-only but for
the submission's folder and a scratch folder, without the course folder and the sources of the
assignments; a process table of its own, so that other processes cannot be seen or ended; no
capabilities. The network is not cut off, since nbgrader talks to the kernel over it.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "RLIMIT_AS": int(os.environ.get("SAEBOOK_MEMORY", 8 * 2**30)),
    "RLIMIT_CPU": int(os.environ.get("SAEBOOK_CPU_SECONDS", 180)),
    "RLIMIT_FSIZE": 64 * 2**20,
    "RLIMIT_NOFILE": 1024,
    "RLIMIT_CORE": 0,
}
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
if os.geteuid() != 0:
    NAMESPACES += ["--user", "--map-root-user"]


def contained():
    """Whether a process here may have namespaces of its own."""
    try:
        test = [*NAMESPACES, "sh", "-c", "mount --make-rprivate / && mount -t proc proc /proc"]
        return subprocess.run(test, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def mount(*arguments, must=True):
    subprocess.run(["mount", *map(str, arguments)], check=must, capture_output=True)


def close_the_file_system(scratch):
    """Inside the namespaces: hide what is to be hidden, and make all but two folders read-only."""
    here = os.getcwd()
    hidden = [Path(p) for p in os.environ.get("SAEBOOK_HIDE", "").split(os.pathsep) if p]
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    keep = scratch.parent / "submission"
    keep.mkdir()
    mount("--bind", here, keep)
    for path in hidden:
        if path.is_dir():
            mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", path)
    Path(here).mkdir(parents=True, exist_ok=True)
    mount("--bind", keep, here)
    mount("-t", "tmpfs", "-o", "size=256m", "tmpfs", scratch)
    # Devices and the system's settings belong to root, who could write to them even without any
    # capability: of the devices only the harmless ones are left.
    devices = scratch.parent / "dev"
    devices.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", devices)
    for name in ("null", "zero", "full", "random", "urandom"):
        (devices / name).touch()
        mount("--bind", Path("/dev", name), devices / name)
    (devices / "shm").mkdir()
    mount("--rbind", devices, "/dev")
    mount("-t", "tmpfs", "-o", "size=256m", "tmpfs", "/dev/shm")
    writable = {here, str(scratch), "/dev/shm"}
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    for point in [line.split()[4].encode().decode("unicode_escape") for line in table]:
        if point not in writable:
            mount("-o", "remount,bind,ro", point, must=False)
    os.chdir("/")
    os.chdir(here)


def main():
    if sys.argv[1] == "--probe":
        print("full" if contained() else "limits only")
        return
    inside = sys.argv[1] == "--inside"
    arguments = sys.argv[2:] if inside else sys.argv[1:]
    scratch = Path(os.environ["SAEBOOK_SCRATCH"])
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", *arguments]
    if not inside and contained():
        os.execvp(NAMESPACES[0], [*NAMESPACES, sys.executable, __file__, "--inside", *arguments])
    if inside:
        close_the_file_system(scratch)
        drop = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        kernel = ["setpriv", *drop, *kernel]
    for name, most in LIMITS.items():
        resource.setrlimit(getattr(resource, name), (most, most))
    for name in ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        os.environ[name] = str(scratch)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    # The kernel would take its parent, another process here, for gone and end itself.
    for name in ("JPY_PARENT_PID", "SAEBOOK_HIDE", "SAEBOOK_SCRATCH"):
        os.environ.pop(name, None)
    os.execvp(kernel[0], kernel)


if __name__ == "__main__":
    main()
