"""Repairs a JPEG file bit by bit: bytes and a patch in, bytes out; `rewrite` is the whole of it."""
