"""The second of two processes: it beats until its input ends. Run with the port of the first one's store."""

import sys
from datetime import timedelta

import torch.distributed as dist

from gan_convnorm.strategies.heartbeats import Heartbeats

if __name__ == "__main__":
    store = dist.TCPStore("127.0.0.1", int(sys.argv[1]), 2, False, timedelta(seconds=20))
    Heartbeats(store, 1, 2, print, every=0.1, patience=1)
    sys.stdin.read()
