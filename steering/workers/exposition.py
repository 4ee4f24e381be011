"""The metrics of several workers as one text: each sample with the label `worker`, each family once.

They are not added up: a worker that starts anew begins at nothing, and what Prometheus makes of that (`rate`) it must
do for each apart. What all workers know alike, the fleet for one, is `max by (...)` of them.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# The text format, version 0.0.4: a name, labels in braces unless there are none, and the value.
_SAMPLE = re.compile(rb"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{)?")
_UP = b"nearcast_steering_worker_up"


def merge(texts: Mapping[int, bytes | None]) -> bytes:
    """What the workers told, by their numbers; None of one that could not be asked."""
    families: dict[bytes, list[bytes]] = {}
    for number, text in sorted(texts.items()):
        head: list[bytes] = []
        for line in (text or b"").split(b"\n"):
            if line.startswith(b"# HELP"):
                head = families.setdefault(line.split(b" ", 3)[2], [])
            if line.startswith(b"#"):
                if line not in head:
                    head.append(line)
            elif line:
                head.append(_labelled(line, number))
    lines = [line for family in families.values() for line in _in_order(family)]
    lines += [b"# HELP %b 1 if the worker could be asked." % _UP, b"# TYPE %b gauge" % _UP]
    lines += [b'%b{worker="%d"} %d' % (_UP, number, text is not None) for number, text in sorted(texts.items())]
    return b"\n".join(lines) + b"\n"


def _labelled(sample: bytes, number: int) -> bytes:
    match = _SAMPLE.match(sample)
    if match is None:
        return sample
    name, brace = match.groups()
    rest = sample[match.end() :]
    return b'%b{worker="%d"%b%b' % (name, number, b"," if brace else b"}", rest)


def _in_order(family: list[bytes]) -> list[bytes]:
    """What is said of the family, then its samples; those of one name beside each other, as the format asks."""
    return [line for line in family if line.startswith(b"#")] + [line for line in family if not line.startswith(b"#")]
