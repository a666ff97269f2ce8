"""Inside a submission's kernel: what keeps a trouble of one cell from becoming that of all cells.

An extension of IPython. It does not contain anything, since a submission runs in the same process
and can undo it; scripts/assignment_kernel.py contains. It helps those who made a mistake:

- a cell that ran out of memory, or was interrupted, gives back what it had taken, so that the cells
  after it have room;
- a cell that prints without an end is stopped by an error that says so;
- a warning costs no points;
- a cell that computes without an end is stopped by the processor's time that it took, not by the
  clock: on a busy machine that is another, and would cost honest answers their points;
- a cell that ended the kernel in an earlier run is not run again: SAEBOOK_REFUSED lists its hash.
"""

import gc
import hashlib
import os
import resource
import signal
import sys
import traceback

# What a cell may print, in characters: a book of 500 pages. nbgrader shows 200 lines of it.
PRINTED = 2**20
# Of the memory that a process may have, what is kept for saying that the rest is used up.
RESERVE = 128 * 2**20
# Processor seconds for a cell, threads counted: six times what the slowest takes that imports a
# framework.
SECONDS = float(os.environ.get("SAEBOOK_CELL_SECONDS", 30))


class CellTimeoutError(BaseException):
    """A cell computed for too long. Not an Exception, which students' code may catch."""


def most():
    """The address space that this process may have at all, None if there is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def allow(reserve):
    """Allow this process all of its memory but for `reserve` bytes."""
    if most() is not None:
        resource.setrlimit(resource.RLIMIT_AS, (most() - reserve, most()))


def crowded():
    """Whether more than half of the memory is taken."""
    if most() is None:
        return False
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize() > most() / 2


def refuse(shell, refused):
    """Have an error stand in for cells that may not be run."""

    def transform(lines):
        if fingerprint("".join(lines)) not in refused:
            return lines
        return ["raise RuntimeError('this cell ended its kernel, so it is not run again')\n"]

    shell.input_transformer_manager.cleanup_transforms.insert(0, transform)


def fingerprint(source):
    return hashlib.sha256(source.strip().encode("utf-8", "replace")).hexdigest()[:32]


def stop_floods(shell):
    """Have a cell that prints without an end fail."""
    printed = [0]

    def begin(*_):
        printed[0] = 0

    def capped(write):
        def count(text):
            printed[0] += len(text)
            if printed[0] > PRINTED:
                raise RuntimeError(f"this cell printed more than {PRINTED} characters")
            return write(text)

        return count

    for stream in (sys.stdout, sys.stderr):
        stream.write = capped(stream.write)
    shell.events.register("pre_run_cell", begin)


def no_points_lost_for_warnings():
    """Have warnings shown as what is printed: nbgrader takes any of them for a failed test."""
    if hasattr(sys.stderr, "name"):
        sys.stderr.name = "stdout"


def stop_loops(shell):
    """Have a cell that computes without an end fail."""

    def stop(*_):
        raise CellTimeoutError(f"this cell took more than {SECONDS:g} seconds of processor time")

    def begin(*_):
        # again and again, in case that it is caught
        signal.setitimer(signal.ITIMER_PROF, SECONDS, 2)

    def end(*_):
        signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, stop)
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)


def give_back(shell):
    """Have a cell that ran out of memory or was interrupted let go of what it had taken."""
    before, sizes = {}, {}

    def contents():
        return {k: v for k, v in shell.user_ns.items() if k not in shell.user_ns_hidden}

    def size(value):
        return len(value) if isinstance(value, (list, dict, set, bytearray)) else None

    def begin(*_):
        before.clear()
        sizes.clear()
        before.update(contents())
        sizes.update({name: size(value) for name, value in before.items()})

    def handle(shell, kind, value, tb, tb_offset=None):
        signal.setitimer(signal.ITIMER_PROF, 0)
        allow(reserve=0)
        traceback.clear_frames(tb)
        if crowded():
            for name, held in contents().items():
                if name not in before:
                    del shell.user_ns[name]
                elif before[name] is not held:
                    shell.user_ns[name] = before[name]
                elif size(held) is not None and size(held) > sizes[name]:
                    held.clear()
            held = None
        gc.collect()  # only now: a list of a billion entries takes it seconds
        shell.showtraceback((kind, value, tb), tb_offset=tb_offset)
        allow(RESERVE)

    shell.events.register("pre_run_cell", begin)
    shell.set_custom_exc((MemoryError, KeyboardInterrupt, CellTimeoutError), handle)
    allow(RESERVE)


def load_ipython_extension(shell):
    refuse(shell, set(filter(None, os.environ.get("SAEBOOK_REFUSED", "").split(","))))
    stop_floods(shell)
    no_points_lost_for_warnings()
    stop_loops(shell)
    give_back(shell)
