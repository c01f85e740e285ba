"""Numbers that are written in a way that is not read as one: with a decimal comma, a currency, a percent sign."""

import re
from collections.abc import Mapping

_DIGITS = r"\d+([.,'’ \u00a0\u202f]\d+)*"
_CURRENCY = r"([$€£¥₹₩₽]|AUD|BRL|CAD|CHF|CNY|EUR|GBP|INR|JPY|MXN|PLN|SEK|USD|ZAR|zł|kr\.?|Fr\.?)"

_PLAIN = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_WRITINGS = {
    "a comma between thousands": re.compile(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*"),
    "a decimal comma": re.compile(r"\s*[-+]?(\d{1,3}([.'’ \u00a0\u202f]\d{3})+|\d+),\d+\s*"),
    "spaces or apostrophes between thousands": re.compile(r"\s*[-+]?\d{1,3}(['’ \u00a0\u202f]\d{3})+(\.\d+)?\s*"),
    "a percent sign": re.compile(rf"\s*[-+]?{_DIGITS}\s?%\s*"),
    "a currency": re.compile(rf"\s*[-+]?({_CURRENCY}\s?[-+]?{_DIGITS}|{_DIGITS}\s?{_CURRENCY})\s*"),
    "parentheses around negative ones": re.compile(rf"\s*\({_DIGITS}\)\s*"),
}

NEARLY_ALL = 0.95
"""The share of values from which on a column of text is one of numbers."""


def writing_of(counts: Mapping[str, int]) -> str | None:
    """Return how the numbers of a column of text are written; None if it is not nearly all numbers.

    `counts` are how often each text is there.

    >>> writing_of({"1,5": 9, "2": 1})
    'a decimal comma'
    >>> writing_of({"1,500": 2, "12,000.50": 1})
    'a comma between thousands'
    >>> writing_of({"visa": 9, "1,5": 1}) is None
    True
    """
    total = sum(counts.values())
    plain = {text for text in counts if _PLAIN.fullmatch(text)}
    for name, form in _WRITINGS.items():
        fitting = [text for text in counts if form.fullmatch(text)]
        if fitting and sum(counts[text] for text in plain.union(fitting)) >= NEARLY_ALL * total:
            return name
    return None


def advice(writing: str) -> str:
    """Return what to do about numbers that are written so."""
    return "say --decimal ," if writing == "a decimal comma" else "write them without"
