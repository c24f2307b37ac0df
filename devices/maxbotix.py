"""The text that MaxBotix rangers send: a letter, digits and a carriage return.

    R1234<CR>   HRXL-MaxSonar-WR, mm          R123<CR>   XL-MaxSonar-WR, cm; LV-MaxSonar, inches

There is no sum: a byte that isn't a digit gives it away, a digit that became another doesn't.
Stray FF bytes are known; they are noise here.
Sources: maxbotix.com "TX output"; github.com/esphome/esphome, component hrxl_maxsonar_wr.
"""

from __future__ import annotations

from functools import partial

from devices.header_framer import HeaderFramer, of_size
from devices.reading import Refusal, Undecodable

HEADER, END = b"R", b"\r"


def is_text(frame: bytes) -> bool:
    """Whether a whole frame is the letter, digits and the end."""
    return frame.startswith(HEADER) and frame.endswith(END) and frame[1:-1].isdigit()


def framer(digits: int) -> partial[HeaderFramer]:
    """What makes a framer for so many digits."""
    return partial(HeaderFramer, HEADER, of_size(digits + 2), is_text, "garbage")


def read_number(frame: bytes, digits: int, low: int, high: int, lost: tuple[int, ...]) -> int:
    """The number of one whole frame, in the sensor's unit.

    Args:
        low, high: what it can measure, both included.
        lost: numbers that mean that nothing reflects.

    Raises:
        Undecodable: `length`, `format`, `no_target` or `range`.
    """
    if len(frame) != digits + 2:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes, a frame has {digits + 2}")
    if not is_text(frame):
        raise Undecodable(Refusal.FORMAT, "not R, digits and a carriage return")
    number = int(frame[1:-1])
    if number in lost:
        raise Undecodable(Refusal.NO_TARGET, f"{number}: nothing reflects")
    if not low <= number <= high:
        raise Undecodable(Refusal.RANGE, f"{number} not in {low}..{high}")
    return number


def say_number(number: int, digits: int) -> bytes:
    """The frame for a number."""
    return HEADER + f"{number:0{digits}d}".encode() + END
