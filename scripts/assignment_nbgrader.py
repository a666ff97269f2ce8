"""Run nbgrader many times and import it once: in its own Python, a process for each run.

    python scripts/assignment_nbgrader.py    orders on standard input, answers on standard output

An order is a line of JSON: "arguments" as on nbgrader's command line, "folder" to run in,
"environment" and "limit" in seconds. An answer is one too: "status", null where the limit of time
passed, and "said", the end of what was printed. The import takes 2 seconds of a processor, which is
more than most of the rest of grading.
"""

import ctypes
import json
import os
import signal
import sys
import tempfile
import time

# Imported for every run; nothing here may start a thread, or the runs could not be forked.
import jupyter_client.asynchronous  # noqa: F401
import nbconvert.exporters  # noqa: F401
import nbgrader.preprocessors  # noqa: F401
from nbgrader.apps import AutogradeApp, GenerateFeedbackApp

APPS = {"autograde": AutogradeApp, "generate_feedback": GenerateFeedbackApp}
SAID = 200_000  # characters of what a run printed that are sent back


def become(order, said):
    """In the child: be nbgrader."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the parent
    os.setsid()
    for number in (1, 2):
        os.dup2(said.fileno(), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    command, *rest = order["arguments"]
    APPS[command].launch_instance(argv=rest)


def run(order):
    with tempfile.TemporaryFile() as said:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                become(order, said)
                status = 0
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else int(bool(left.code))
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                for stream in (sys.stdout, sys.stderr):
                    try:
                        stream.flush()
                    except OSError:
                        pass
                os._exit(status)
        status = wait(child, time.monotonic() + order["limit"])
        end = said.seek(0, os.SEEK_END)
        said.seek(max(0, end - SAID))
        return {"status": status, "said": said.read().decode("utf8", "replace")}


def wait(child, until):
    """The status of a run; one that takes too long is ended, and what is in its session with it."""
    try:
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass


def main():
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
