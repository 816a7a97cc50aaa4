"""Small files of each kind."""

import io
import wave

import pytest


def wav_bytes():
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((1, 2, 8000, 0, "NONE", ""))
        wav.writeframes(b"\0\1" * 20)
    return file.getvalue()


@pytest.fixture
def put(tmp_path):
    """A function that writes a file below the test's folder, by default a recording."""

    def write(name, content=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = wav_bytes() if content is None else content
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write
