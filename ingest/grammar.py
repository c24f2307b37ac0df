"""What a line may be, and why another one may not: two readings of one grammar.

`judge` is the grammar: `wire.line.LINE_PATTERNS`, no field twice, every value in its field's range.
It takes a line apart and knows the reason. `SURE` is a shortcut for the lines that gateways really
send: one pattern a kind that only matches lines that `judge` accepts (fields in sorted order, as
`format_line` writes them, and numbers so plain that their digits show that they are in range:
`[1-9][0-9]{0,3}` is below 20,000 whatever follows the point). What it doesn't match is judged.

`sure_batch` is the same for all lines at once: a batch of which every line is sure. It is RE2 (the
package google-re2), which reads a text once whatever the pattern: a batch of 60 lines in 20 µs,
where a match a line costs 100.

`tests/ingest/test_grammar.py` holds all against `LINE_PATTERNS`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import re2

from devices.kinds import KINDS, NAME_PATTERN, TEXT_ALPHABET, TEXT_LENGTH, Field, FieldType, Kind
from wire.line import TIME_PATTERN, parse_value, value_pattern


class BadLine(Exception):
    """A line outside the grammar; `reason` is a word for counters and dead letters.

    `unknown_kind`, `unknown_field`, `type`, `range`, `duplicate_field`, or `grammar` for the rest.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Parts(NamedTuple):
    """A line cut where the gateway's tag belongs: `kind,device=…` and `,site=… fields time`."""

    before: str
    after: str
    time: str


def judge(line: str) -> Parts:
    """The parts of a line of the grammar.

    Raises:
        BadLine: with the reason.
    """
    start, _, rest = line.partition(" ")
    fields, _, time = rest.rpartition(" ")
    head = _HEAD.fullmatch(start)
    if head is None:
        raise BadLine("grammar")
    kind = KINDS.get(head["kind"])
    if kind is None:
        raise BadLine("unknown_kind")
    seen: set[str] = set()
    for piece in fields.split(","):  # no value holds a comma
        name = _judge_field(kind, piece)
        if name in seen:
            raise BadLine("duplicate_field")
        seen.add(name)
    if _TIME.fullmatch(time) is None:
        raise BadLine("grammar")
    return Parts(head["before"], f"{head['after']} {rest}", time)


_HEAD = re.compile(
    rf"(?P<before>(?P<kind>{NAME_PATTERN}),device={NAME_PATTERN})"
    rf"(?P<after>,site={NAME_PATTERN},zone={NAME_PATTERN})"
)
_TIME = re.compile(TIME_PATTERN)
_FIELD_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
_ANY_TEXT = re.compile(f'"[{TEXT_ALPHABET}]{{0,{TEXT_LENGTH}}}"')
_ANY_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:e[+-]?[0-9]{1,3})?[iu]?")
_ANY_BOOLEAN = re.compile(r"[tTfF]|true|false")
_VALUES = {
    name: {field.name: re.compile(value_pattern(field)) for field in kind.fields.values()}
    for name, kind in KINDS.items()
}


def _judge_field(kind: Kind, piece: str) -> str:
    """The name in `name=value`."""
    name, _, value = piece.partition("=")
    field = kind.fields.get(name)
    if field is None or _VALUES[kind.name][name].fullmatch(value) is None:
        raise BadLine(_why_not(field, name, value))
    number = parse_value(value)
    if not isinstance(number, str) and not field.low <= number <= field.high:
        raise BadLine("range")
    return name


def _why_not(field: Field | None, name: str, value: str) -> str:
    text = _ANY_TEXT.fullmatch(value)
    is_value = text or _ANY_NUMBER.fullmatch(value) or _ANY_BOOLEAN.fullmatch(value)
    if not is_value or not _FIELD_NAME.fullmatch(name):
        return "grammar"
    if field is None:
        return "unknown_field"
    return "range" if text and field.choices else "type"


_FRACTION = r"(?:\.[0-9]{1,17}+)?+"
_ENUMERATED_MAX = 64


def _sure_pattern(kind: Kind) -> re.Pattern[str]:
    """Groups: 1 and 2 are `Parts.before` and `Parts.after`, 3 the time.

    Every field is optional and followed by a comma, or by the space that ends the fields; the
    look-behind refuses a line without fields and a comma before that space. No quantifier gives
    anything back (`+`), so a line is read once from left to right.
    """
    fields = "".join(
        f"(?:{name}=(?:{values})(?:,|(?= )))?+"
        for name, field in sorted(kind.fields.items())
        if (values := _sure_values(field))
    )
    name = f"{NAME_PATTERN}+"
    return re.compile(
        rf"({kind.name},device={name})"
        rf"(,site={name},zone={name} {fields}(?<=[^ ,]) ({TIME_PATTERN}))"
    )


def _sure_values(field: Field) -> str:
    """A pattern for values that are in range beyond doubt, "" when there is none."""
    if field.type is FieldType.TEXT:
        return value_pattern(field)
    if field.type is FieldType.INTEGER and field.high - field.low < _ENUMERATED_MAX:
        numbers = range(int(field.high), int(field.low) - 1, -1)
        return f"(?:{'|'.join(map(str, numbers))})i"
    if not field.low <= 0 <= field.high:
        return ""
    below, above = _whole_parts_below(-field.low), _whole_parts_below(field.high)
    signed = [*above, f"-(?:{'|'.join(below)})"] if below else above
    if not signed:
        return ""
    if field.type is FieldType.INTEGER:
        return f"(?:{'|'.join(signed)})i"
    one = ["1"] if field.high == 1 else []  # a full bin is in range too
    return "|".join([f"(?:{'|'.join(signed)}){_FRACTION}", *one])


def _whole_parts_below(bound: float) -> list[str]:
    """Patterns of whole numbers n with n + 1 <= bound: whatever the fraction, it stays below."""
    if bound < 1:
        return []
    digits = str(int(bound))
    leading, more = int(digits[0]), len(digits) - 1
    patterns = ["0"]
    if more:
        patterns.append(f"[1-9][0-9]{{0,{more - 1}}}")
    if leading > 1:
        patterns.append(f"[1-{leading - 1}][0-9]{{{more}}}")
    return patterns


SURE = {name: _sure_pattern(kind) for name, kind in KINDS.items()}
"""Kind → a pattern that only matches lines that `judge` accepts."""


def _batch_pattern() -> str:
    """One or more sure lines, each ended by a newline."""
    kinds = []
    for kind in KINDS.values():
        tags = f",device={NAME_PATTERN},site={NAME_PATTERN},zone={NAME_PATTERN}"
        kinds.append(f"{kind.name}{tags} (?:{_sure_fields(kind)}) [1-9][0-9]{{12}}\n")
    return f"(?:{'|'.join(kinds)})+"


def _sure_fields(kind: Kind) -> str:
    """The kind's fields in sorted order, each optional, at least one: RE2 can't look back, so each
    may be the first and is followed by any of those behind it."""
    pieces = [
        f"{name}=(?:{_without_possession(values)})"
        for name, field in sorted(kind.fields.items())
        if (values := _sure_values(field))
    ]
    return "|".join(
        piece + "".join(f"(?:,{later})?" for later in pieces[place + 1 :])
        for place, piece in enumerate(pieces)
    )


def _without_possession(pattern: str) -> str:
    """RE2 gives nothing back anyway."""
    return pattern.replace("?+", "?").replace("}+", "}")


def _compiled(pattern: str) -> re2.Set:
    """A set of this one pattern: asked whether it matches, and not where, it is a microsecond
    sooner than the pattern."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 * 1024 * 1024
    options.never_capture = True
    patterns = re2.Set.FullMatchSet(options)
    patterns.Add(pattern.encode())
    patterns.Compile()
    return patterns


_SURE_BATCH = _compiled(_batch_pattern())


def sure_batch(raw: bytes) -> bool:
    """Whether every line is one that `judge` accepts, with a time of 13 digits; each ends with a
    newline."""
    return bool(_SURE_BATCH.Match(raw))
