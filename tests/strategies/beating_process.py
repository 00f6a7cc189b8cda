"""The second of two processes, which beats until it is killed."""

import time
from datetime import timedelta

import torch.distributed as dist

from gan_convnorm.strategies.heartbeats import Heartbeats


def beat(port):
    """Beat in the store of the first process, which listens at the port."""
    store = dist.TCPStore("127.0.0.1", port, 2, False, timedelta(seconds=20))
    Heartbeats(store, 1, 2, print, every=0.1, patience=1)
    time.sleep(600)
