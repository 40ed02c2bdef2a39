"""`archcalc new-adapter`."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    model_type: Annotated[str, typer.Argument(metavar="MODEL_TYPE", help="The type that configs will state.")],
    class_name: Annotated[str, typer.Option("--from", metavar="CLASS", help="The class of transformers that builds it.")],
    into: Annotated[str, typer.Option("--into", metavar="FOLDER", help="A checkout of archcalc.")] = ".",
    force: Annotated[bool, typer.Option("--force", help="Write over an adapter that is there.")] = False,
) -> None:
    """Start an adapter, for those who develop archcalc: its file and its golden row, from the reference's class.

    The class is built without weights, once for each key of its config, which tells the keys that shape it. A plain decoder's file is
    whole; of others it lists the tensors that are left to name, and refuses every config until then. Needs archcalc[reference].
    """
    from pathlib import Path

    from archcalc.reference import scaffold

    made = scaffold.scaffold(model_type, scaffold.asked(class_name))
    adapter, golden = scaffold.written(made, Path(into), force)
    print(f"{adapter}\n{golden}: {made.row['total']:,} parameters, {len(made.row['tensors'])} kinds of tensors")
    print(f"keys that shape it: {', '.join(made.shaping)}")
    if made.left:
        print(f"left to name: {len(made.left)} kinds of tensors, listed in the adapter")
        return
    odd = scaffold.missing(made, adapter)
    print(
        "\n".join(odd) if odd else "a plain decoder: its tensors are the reference's; say what it is, and try other sizes and flags"
    )
