"""Text from configs, files and the network, as a page may hold it."""

from __future__ import annotations

import html

from archcalc.render.plain import plain


def escape(text: str) -> str:
    """The text without markup of its own, and with codes and marks that turn its direction written out.

    >>> escape("<b>\\u202e")
    '&lt;b&gt;\\\\u202e'
    """
    return html.escape(plain(text))
