"""A process that locks a folder, says so, and waits until it is killed."""

import time
from pathlib import Path

from gan_convnorm.run_folder.lock import lock_folder


def hold(folder):
    lock_folder(Path(folder), made=True)
    print("locked", flush=True)
    time.sleep(600)
