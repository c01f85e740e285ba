"""Names that would act on a careless page: markup, quotes, writing from right to left, emoji, and far too long."""

from typing import Any

MARKUP = "<img src=x onerror=alert(1)>"
MODEL = "\"><script>alert('model')</script> & Söhne"

FEATURES = (
    MARKUP,
    "<script>alert(2)</script>",
    "javascript:alert(3)",
    "' onmouseover='alert(4)",
    "{{ script }} ${alert(5)} %s &lt;",
    "\u202egnp.exe",
    "مقدار المعاملة",
    "🛫💥 delay 👩🏽‍🚀",
    "a:b&c=d#e?f/g..%2f",
    "very_long_" * 60,
    "W" * 300,
    "__proto__",
)
CATEGORIES = (MARKUP, "\"quoted\" \\ 'both'", "שלום", "C" * 400, "\u202eabc", "</td></table><b>")


SHOWN = str.maketrans({"\u202e": "\\u202e"})
"""What turns the direction of text is written out."""


def reference() -> dict[str, Any]:
    """Return columns to build a reference from."""
    return {name: [CATEGORIES[i % len(CATEGORIES)] for i in range(600)] for name in FEATURES}


def live() -> dict[str, list[Any]]:
    """Return columns to send, which have moved, each feature further than the one before."""
    return {
        name: [CATEGORIES[0] if row < 60 * (i + 1) else CATEGORIES[row % len(CATEGORIES)] for row in range(900)]
        for i, name in enumerate(FEATURES)
    }
