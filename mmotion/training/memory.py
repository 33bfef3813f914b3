"""Keep memory between the steps of a training on CPUs."""

import ctypes

# parameters of mallopt, from glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed tensors for the next ones.

    Otherwise glibc gives tensors of more than 32 MB back to the system at once, which clears each
    page that it hands out anew: a quarter of the time of a training step with large activations
    (`projects/bkind/README.md`). In return the process holds its peak to its end, which is up to a
    fifth higher, as freed pieces do not always fit. `mallopt(3)`.

    Returns:
        Whether the C library can do so: glibc, that is Linux, does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
