"""Small files, and reading them."""

import pytest

from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.transcripts.bad_items import BadItems


@pytest.fixture
def put(tmp_path):
    """A function that writes a file below the test's folder."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def read(put):
    """A function that writes a file and reads its items, the bad ones apart."""

    def reading(name, content, **more):
        bad = BadItems(share=1)
        return read_sequences(put(name, content), bad=bad, **more), list(bad.messages.values())

    return reading
