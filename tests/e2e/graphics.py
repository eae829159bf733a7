"""Graphics processors for a machine that has none: builds the stand-in for NVIDIA's library, which tells of two."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "host/perfhost-telemetry/tests/nvml/stand_in.c"


def environment(folder):
    """What a host must be started with to find them."""
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True, timeout=60)
    return {"LD_LIBRARY_PATH": str(folder)}
