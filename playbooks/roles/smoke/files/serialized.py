"""Moves a database value from one host to another. PHP's serialized values say how long their strings are, so a plain
replacement would make them unreadable; they are taken apart and put together again. Pure.
"""

import re

# Far beyond what WordPress nests; without a bound a value could take the whole stack.
DEPTH_MAX = 60

_NUMBERS = re.compile(rb"(?:N|i:-?\d+|b:[01]|[rR]:\d+|d:(?:-?[0-9.]+(?:[eE][+-]?\d+)?|-?INF|NAN));")
_STRING = re.compile(rb's:(\d+):"')
_ARRAY = re.compile(rb"a:(\d+):\{")
_OBJECT = re.compile(rb'O:\d+:"[^"]*":(\d+):\{')
_CUSTOM = re.compile(rb'C:\d+:"[^"]*":(\d+):\{')
_ENUM = re.compile(rb'E:\d+:"[^"]*";')


class NotSerialized(ValueError):
    """The value is something else, such as plain text."""


class TooDeep(ValueError):
    """Rewriting it in part would be worse than saying so."""


def moved(value: bytes, old: str, new: str, depth: int = 0) -> bytes:
    """The value with each URL of host `old` on host `new`."""
    if old.encode() not in value:
        return value
    if depth > DEPTH_MAX:
        raise TooDeep(f"values are nested more than {DEPTH_MAX} deep")
    try:
        end, parts = _taken(value, 0, lambda text: moved(text, old, new, depth + 1), depth)
    except NotSerialized:
        return _replaced(value, old, new)
    # PHP ignores white space behind a value, WordPress too; anything else makes it plain text.
    if value[end:].strip():
        return _replaced(value, old, new)
    return parts + value[end:]


def _replaced(text: bytes, old: str, new: str) -> bytes:
    """As in HTML, in JSON and in a query. A longer host that begins alike, and another port, are other places."""
    pattern = rb"(//|\\/\\/|%2F%2F)" + re.escape(old.encode()) + rb"(?![a-z0-9-]|\.[a-z0-9]|:\d)"
    return re.sub(pattern, lambda found: found.group(1) + new.encode(), text, flags=re.IGNORECASE)


def _taken(data, at, change, depth):
    """The value that begins here: where it ends, and what it becomes. Names of fields stay as they are."""
    if depth > DEPTH_MAX:
        raise TooDeep(f"values are nested more than {DEPTH_MAX} deep")
    for simple in (_NUMBERS, _ENUM):
        if found := simple.match(data, at):
            return found.end(), found.group()
    if found := _STRING.match(data, at):
        return _string(data, found, change)
    if found := _CUSTOM.match(data, at):
        end = found.end() + int(found.group(1))
        _expect(data, end, b"}")
        return end + 1, data[at : end + 1]
    for nested in (_ARRAY, _OBJECT):
        if found := nested.match(data, at):
            return _members(data, found, change, depth)
    raise NotSerialized


def _string(data, found, change):
    end = found.end() + int(found.group(1))
    _expect(data, end, b'";')
    text = change(data[found.end() : end])
    return end + 2, b's:%d:"%s";' % (len(text), text)


def _members(data, found, change, depth):
    parts, at = [found.group()], found.end()
    for _ in range(int(found.group(1))):
        at, key = _taken(data, at, lambda text: text, depth + 1)
        at, value = _taken(data, at, change, depth + 1)
        parts += [key, value]
    _expect(data, at, b"}")
    return at + 1, b"".join(parts) + b"}"


def _expect(data, at, wanted):
    if data[at : at + len(wanted)] != wanted:
        raise NotSerialized
