"""A process that locks the folder of its first argument, says so, and waits until its input ends."""

import sys
from pathlib import Path

from gan_convnorm.run_folder.lock import lock_folder

if __name__ == "__main__":
    lock_folder(Path(sys.argv[1]), made=True)
    print("locked", flush=True)
    sys.stdin.read()
