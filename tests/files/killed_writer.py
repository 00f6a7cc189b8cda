"""A process that is killed while it writes the file of its first argument."""

import os
import signal
import sys
from pathlib import Path

from gan_convnorm.files.atomic_write import atomic_write

if __name__ == "__main__":
    with atomic_write(Path(sys.argv[1])) as part:
        part.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
