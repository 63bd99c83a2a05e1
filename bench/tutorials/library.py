"""The documents by key."""

from __future__ import annotations

from collections.abc import Sequence

from bench.tutorials import circles, feedforward, miniflow, xor
from bench.tutorials.programs import Tutorial


def select_tutorials(keys: Sequence[str] = (), boston: bool = False) -> list[Tutorial]:
    """The documents of these keys, all of them if none is given. Raises ValueError for a key that is none."""
    documents = {
        document.key: document
        for document in (feedforward.DOCUMENT, circles.DOCUMENT, miniflow.document(boston), xor.DOCUMENT)
    }
    for key in keys:
        if key not in documents:
            raise ValueError(f"no document has the key {key!r}; there are {', '.join(documents)}")
    return [documents[key] for key in dict.fromkeys(keys)] if keys else list(documents.values())
