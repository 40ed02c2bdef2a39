"""`archcalc serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli._options import Offline


def command(
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Where to listen; 0 takes a free port.")] = 8377,
    offline: Offline = False,
) -> None:
    """Serve the pages of `archcalc report` on the bundled models, to this machine alone, with a search box.

    Pages are made when they are asked for. Ctrl-C ends it. It asks nothing of the network, --offline or not.
    """
    from archcalc.errors import UsageError
    from archcalc.server import HOST, Server

    try:
        server = Server(port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror}", "name another --port, or --port 0 for a free one"
        ) from None
    print(f"archcalc: serving on {server.url} - Ctrl-C ends it", flush=True)
    server.warm()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("archcalc: ended", flush=True)
    finally:
        server.server_close()
