"""Runs a program under cProfile from its first task on: profiled.py OUT PROGRAM [ARGUMENTS].

Counted is this thread's own processor time, so that neither waiting nor other programs take part.
"""

import cProfile
import runpy
import sys
import time

from tally import TALLY


def main() -> None:
    out, program, *arguments = sys.argv[1:]
    profiler = cProfile.Profile(time.thread_time)
    ran = TALLY.ran

    def first() -> None:
        TALLY.ran = ran
        profiler.enable()
        ran()

    TALLY.ran = first
    sys.argv = [program, *arguments]
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        profiler.disable()
        profiler.dump_stats(out)


if __name__ == "__main__":
    main()
