"""Makes inputs of the fuzz target `wire` of the recorded sessions: recorded.py DIRECTORY.

A session becomes what its dialling side said, once from the first byte, as a stranger's, and once
from behind its login, as a slave's or a client's. Of messages over a WebSocket each stands behind its length in
two bytes.
"""
import pathlib
import sys

recorded = pathlib.Path(__file__).resolve().parent.parent / "tests/wire"
corpus = pathlib.Path(sys.argv[1])


def said(path):
    lines = (line.split(" ") for line in path.read_text().splitlines())
    return [bytes.fromhex(what) for who, what in lines if who == "C"]


def message(frame):
    """What a masked frame says."""
    length, at = frame[1] & 0x7F, 2
    if length > 125:
        at = 4 if length == 126 else 10
    mask, masked = frame[at : at + 4], frame[at + 4 :]
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))


for path in recorded.glob("*.hex"):
    elements = said(path)
    (corpus / path.stem).write_bytes(b"".join(elements))
    # The dialect, the version, the name, the response and a reference that is given up.
    (corpus / f"{path.stem}-on").write_bytes(b"".join(elements[5:]))
for path in recorded.glob("msgpack/*.hex"):
    messages = [message(frame) for frame in said(path)[1:]]
    messages = [it for it in messages if len(it) < 1 << 16]
    all = b"".join(len(it).to_bytes(2, "big") + it for it in messages)
    (corpus / path.stem).write_bytes(all)
