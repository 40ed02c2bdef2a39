"""`python -m archcalc`, and the console script: nothing is imported before an interrupt is taken care of."""

from __future__ import annotations

import os
import signal
import sys

_interrupted = False


def _stop(*_: object) -> None:
    """Break off. An import may turn the exception into another one, or drop it: the second time the process ends here."""
    global _interrupted  # noqa: PLW0603
    if _interrupted:
        os._exit(130)
    _interrupted = True
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    os._exit(130)


def main() -> None:
    """Run the command line; an interrupt ends it with 130 and one line, whenever it comes."""
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if own:
            signal.signal(signal.SIGINT, _stop)
        from archcalc import cli

        cli.main()
    except BaseException as error:
        if not _interrupted and not isinstance(error, KeyboardInterrupt):
            raise
        if isinstance(error, SystemExit) and not error.code:
            raise  # a command that an interrupt ends well, such as serve
        if not (isinstance(error, SystemExit) and error.code == 130):
            sys.stderr.write("archcalc: interrupted\n")
        sys.stderr.flush()
        # Where the interrupt came into an `eval`, as named tuples are made by, the interpreter would end itself by a signal.
        os._exit(130)
    finally:
        if own:
            # From here on the interpreter ends, and an interrupt would show a traceback of that.
            signal.signal(signal.SIGINT, _leave)


if __name__ == "__main__":
    main()
