"""Texts of a layer with the names of its templates: one text for every layer of every library."""

from __future__ import annotations

import re

from feast_codegen.codegen.emit.render import of_layer


def layer_of(path: str) -> str:
    """The layer that a file belongs to, or the empty string.

    >>> layer_of("src/feast_layer2_step.h"), layer_of("src/feast_simd.h")
    ('layer2', '')
    """
    found = re.search(r"_(layer\d)_", path)
    return found[1] if found else ""


def plain(text: str, layer: str) -> str:
    """`text` without the name of the layer in its names; the way back is `layered`."""
    if not layer:
        return text
    found = re.sub(rf"\b(?:feast_{layer}|FEAST_{layer.upper()})_", lambda m: m[0][:6], text)
    assert layered(found, layer) == text
    return found


def layered(text: str, layer: str) -> str:
    """A text with the names of a layer."""
    return of_layer(text, layer) if layer else text
