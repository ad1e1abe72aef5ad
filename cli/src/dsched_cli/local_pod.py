"""The pod of `--local`: `dsched-run` that stops when its standard input ends."""

import os
import signal
import sys
import threading

from dsched.launcher.run import main


def _stop_at_the_end_of_input() -> None:
    # The parent has ended, or wants this pod to end: either closes the pipe.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_at_the_end_of_input, name="input", daemon=True).start()
    sys.exit(main())
