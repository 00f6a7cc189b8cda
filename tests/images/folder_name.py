"""A process that prints the name of the images in the folder of its first argument."""

import sys
from pathlib import Path

from gan_convnorm.fidelity import FolderImages

if __name__ == "__main__":
    print(FolderImages(Path(sys.argv[1])).name)
