"""Versions of one strategy, made from the guest `guest-versioned` by changing its label. See its source."""

from pathlib import Path

GUEST = Path(__file__).resolve().parents[2] / "target" / "guests" / "wasm32-unknown-unknown" / "guest" / "guest_versioned.wasm"
LABEL = b"version=1.0.0 writes=1 reads=111"


def version(number, writes=1, reads=(1,), patch=0):
    """The file of version `number`.0.`patch`, which writes one form of state and reads up to three."""
    forms = [*reads, *[reads[-1]] * 3][:3]
    label = f"version={number}.0.{patch} writes={writes} reads={''.join(map(str, forms))}".encode()
    content = GUEST.read_bytes()
    assert len(label) == len(LABEL) and content.count(LABEL) == 1, f"{GUEST} is not what this file expects"
    return content.replace(LABEL, label)
