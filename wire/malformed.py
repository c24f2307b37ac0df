"""What msgspec raises over bytes that aren't what they should be.

    try:
        return msgspec.json.decode(data, type=Entry)
    except MALFORMED:

Not its own error alone: a text that isn't UTF-8 is a UnicodeDecodeError; a thousand brackets, under
a key that nobody reads, too, are a RecursionError.
"""

from __future__ import annotations

import msgspec

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
