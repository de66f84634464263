"""Memory that stays with the process from one update to the next."""

import ctypes
import functools

# Of <malloc.h>: freed memory at the end of the heap from which on it goes back to the system, and
# the size from which on an allocation is a mapping of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT, _LARGEST = 1 << 30, 32 << 20  # no greater `_LARGEST` is allowed


@functools.cache
def keep_freed_memory() -> bool:
    """Lets glibc keep up to 1 GiB of freed memory; whether it does.

    An update frees what the next one allocates again. By default glibc gives activations of some
    MiB back to the system every time, and the system fills each of their pages with zeros again,
    which takes a quarter of an update of CQL.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT)) and bool(mallopt(_MMAP_THRESHOLD, _LARGEST))
