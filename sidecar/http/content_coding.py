"""Content codings of request bodies: decompressed in bounded pieces, and refused unless they end where they should.

HTTP libraries pass on what a stream that was cut off has given so far, which looks like a shorter body.
"""

import zlib
from collections.abc import Iterator

_PIECE_BYTES = 64 * 1024
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOW_BITS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class UnknownCoding(Exception):
    """The body is in a coding that is not supported."""


class Truncated(Exception):
    """The body ends before its coding does, or is not in its coding."""


class Decompressor:
    """Decompress a body that comes in parts. A gzip body may have several members."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what a part of the body decompresses to, 64 KiB at a time; raises Truncated."""
        try:
            while data:
                if self._stream.eof:
                    if self._window_bits != _GZIP:
                        raise Truncated("there is more after its end")
                    self._stream = zlib.decompressobj(self._window_bits)
                self._begun = True
                if piece := self._stream.decompress(data, _PIECE_BYTES):
                    yield piece
                data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            while not self._stream.eof and (piece := self._stream.decompress(b"", _PIECE_BYTES)):
                yield piece
        except zlib.error as error:
            raise Truncated(str(error)) from error

    def finish(self) -> None:
        """Raise Truncated unless the body has ended."""
        if not self._begun or not self._stream.eof:
            raise Truncated("it ends too early")


def decompressor(content_encoding: str) -> Decompressor | None:
    """Return what decompresses a body, by its Content-Encoding; None for a plain one. Raises UnknownCoding."""
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in _WINDOW_BITS:
        raise UnknownCoding(f"the Content-Encoding {content_encoding[:100]!r} is not gzip, deflate or identity")
    return Decompressor(_WINDOW_BITS[coding])
