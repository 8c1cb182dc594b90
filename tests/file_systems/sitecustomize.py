"""Makes every file system behave like another one: on PYTHONPATH, each Python imports this as it starts.

`FILE_SYSTEM` names it:

    nfs      exclusive `flock` needs a file that is open for writing (flock(2), "NFS details")
    cifs     permissions are those of the mount, and there are no links
    lustre   mounted without flock: ENOSYS
    no-lockd NFS without a lock daemon: ENOLCK
    fuse     no locks, no flushing, no mapping into memory
"""

import errno
import fcntl
import mmap
import os

NAME = os.environ["FILE_SYSTEM"]


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def nfs_flock(descriptor, operation, flock=fcntl.flock):
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    if operation & fcntl.LOCK_EX and flags == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    flock(descriptor, operation)


class NoMap(mmap.mmap):
    __new__ = staticmethod(failing(errno.ENODEV))


if NAME == "nfs":
    fcntl.flock = nfs_flock
elif NAME == "cifs":
    os.chmod = os.fchmod = os.chown = os.fchown = failing(errno.EPERM)
    os.symlink = os.link = failing(errno.ENOTSUP)
elif NAME == "lustre":
    fcntl.flock = failing(errno.ENOSYS)
elif NAME == "no-lockd":
    fcntl.flock = failing(errno.ENOLCK)
elif NAME == "fuse":
    fcntl.flock = failing(errno.ENOTSUP)
    os.fsync = os.fdatasync = failing(errno.EINVAL)
    os.link = failing(errno.ENOSYS)
    mmap.mmap = NoMap
else:
    raise ValueError(NAME)
