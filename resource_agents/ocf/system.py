"""This host, as agents see it: the only door to files, processes and time.

Invariant: nothing here waits longer than it was told to, and no child is left behind unreaped. `root` prefixes every
path that is read or written, for tests. Only modules that are built into the interpreter are imported, and
_collections_abc, which `os` has loaded already (collections.abc costs 2 ms more): this file is on every monitor's path.
"""

import os
import pwd
import select
import time
from _collections_abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
"""What a command gets from us: nothing is inherited, so that a monitor and an operator's shell see the same."""
PART = 65536
TERM = 15
KILL = 9


class System:
    """The real host (`root` empty), or a folder that looks like one."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.parent = os.getppid()
        """Who asks: Pacemaker's executor, also in a process that the action leaves behind."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def read(self, path: str) -> str | None:
        """The file's text, undecodable bytes replaced; None when it cannot be read."""
        try:
            number = os.open(self.root + path, os.O_RDONLY)
        except OSError:
            return None
        try:  # a file object would ask the kernel four times more, and a look reads ten files
            parts = iter(lambda: os.read(number, PART), b"")
            return b"".join(parts).decode(errors="replace")
        except OSError:
            return None
        finally:
            os.close(number)

    def write(self, path: str, text: str) -> None:
        """Put `text` at `path` by rename, making its folder: a reader sees the old text or the new.

        No fsync: what agents keep is under /run, and must not outlive the boot.
        """
        try:
            self._put(path, text)
        except FileNotFoundError:
            self.make_folder(path)
            self._put(path, text)

    def make_link(self, path: str, target: str) -> None:
        """Put a symbolic link to `target` at `path` by rename, making its folder."""
        self.make_folder(path)
        path = self.root + path
        scratch = f"{path}.{os.getpid()}"
        os.symlink(target, scratch)
        os.replace(scratch, path)

    def make_folder(self, path: str) -> None:
        """Make the folder in which the file `path` is to be."""
        os.makedirs(os.path.dirname(self.root + path), mode=0o755, exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove the file `path` if it is there."""
        try:
            os.unlink(self.root + path)
        except FileNotFoundError:
            return

    def names(self, path: str) -> list[str]:
        """The names in the folder `path`; none when it cannot be read."""
        try:
            return os.listdir(self.root + path)
        except OSError:
            return []

    def link(self, path: str) -> str:
        """Where the symbolic link `path` points; empty when it cannot be read."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return ""

    def age(self, path: str) -> float | None:
        """Seconds since the file `path` was written; None when there is none."""
        try:
            return time.time() - os.stat(self.root + path).st_mtime
        except OSError:
            return None

    def tail(self, path: str, size: int) -> str:
        """The file's last `size` bytes as text; empty when it cannot be read."""
        try:
            with open(self.root + path, "rb", buffering=0) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read(size).decode(errors="replace")
        except OSError:
            return ""

    def replace(self, path: str, text: str) -> None:
        """Put a daemon's own state at `path` by rename, with its folder's owner, on disk before this returns.

        OSError, and nothing left of it, when that is not possible.
        """
        folder = os.path.dirname(self.root + path)
        self._put(path, text, lasting=os.stat(folder))
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _put(self, path: str, text: str, lasting: os.stat_result | None = None) -> None:
        """Put `text` at `path` by rename; OSError, and nothing left of it, when that is not possible. `lasting`: it is
        on disk then, and that one's.
        """
        scratch = f"{self.root}{path}.{os.getpid()}"
        number = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            if lasting:
                os.fchmod(number, 0o660)
                os.fchown(number, lasting.st_uid, lasting.st_gid)
            left = text.encode()
            while left:
                left = left[os.write(number, left) :]
            if lasting:
                os.fsync(number)
        except OSError:
            os.unlink(scratch)
            raise
        finally:
            os.close(number)
        os.replace(scratch, self.root + path)

    def folders(self, path: str) -> list[str]:
        """The names of the folders in the folder `path`; none when it cannot be read."""
        try:
            with os.scandir(self.root + path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            return []

    def usage(self, path: str) -> int:
        """How many bytes the files under the folder `path` hold; what cannot be read counts nothing."""
        total = 0
        try:
            with os.scandir(self.root + path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        total += self.usage(f"{path}/{entry.name}")
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            return total
        return total

    def free(self, path: str) -> int | None:
        """How many bytes the file system of `path` has left for who is not root; None when it cannot be told."""
        try:
            found = os.statvfs(self.root + path)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def access(self, path: str) -> tuple[str, int] | None:
        """The owner's name (its number, when it has none) and the mode bits of `path`; None when there is none."""
        try:
            found = os.stat(self.root + path)
        except OSError:
            return None
        try:
            return pwd.getpwuid(found.st_uid).pw_name, found.st_mode & 0o7777
        except KeyError:
            return str(found.st_uid), found.st_mode & 0o7777

    def own_folder(self, path: str, user: str) -> None:
        """Make the folder `path` if it is not there, and give a new one to `user`."""
        if os.path.isdir(self.root + path):
            return
        os.makedirs(self.root + path, mode=0o755)
        if user:
            entry = pwd.getpwnam(user)
            os.chown(self.root + path, entry.pw_uid, entry.pw_gid)

    def give(self, path: str, user: str) -> None:
        """Make `user` (empty: nobody) the owner of the file at `path`, if there is one."""
        if user and os.path.isfile(self.root + path):
            entry = pwd.getpwnam(user)
            os.chown(self.root + path, entry.pw_uid, entry.pw_gid)

    def name_process(self, name: str) -> None:
        """Have this process listed by `name`, where that can be."""
        try:
            with open("/proc/self/comm", "wb", buffering=0) as file:
                file.write(name.encode())
        except OSError:
            return

    def node_name(self) -> str:
        """This host's name, as uname -n tells it; Pacemaker's own name for it unless one is configured."""
        return os.uname().nodename

    def size(self, path: str) -> int:
        """The file's length in bytes; 0 when there is none."""
        try:
            return os.stat(self.root + path).st_size
        except OSError:
            return 0

    def executable(self, path: str) -> bool:
        """True when `path` is a file that may be executed."""
        return os.path.isfile(self.root + path) and os.access(self.root + path, os.X_OK)

    def user_exists(self, name: str) -> bool:
        """True when this host knows the user `name`."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def signal(self, pid: int, number: int) -> None:
        """Send signal `number` to process `pid`; one that is gone already is as good."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """Run `argv`: its exit code and its standard output and error as text.

        -1 when it overran `timeout_s` and was killed, 127 when it could not be started. It has a session of its own,
        but in a process that an action left behind it stays in that process's: who ends that session ends it too.
        """
        reader, writer = os.pipe()
        try:
            pid = os.posix_spawn(
                argv[0], list(argv), ENVIRONMENT, setsid=os.getsid(0) != os.getpid(),
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                              (os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)],
            )  # fmt: skip
        except OSError as error:
            os.close(reader)
            return 127, f"{argv[0]}: {error.strerror}"
        finally:
            os.close(writer)
        return _collect(pid, reader, timeout_s)

    def spawn(self, argv: Sequence[str], user: str, output: str) -> int:
        """Start the daemon `argv` as `user` (empty: as we are) in a session of its own; returns its pid.

        Its output goes to the file `output`, which is begun anew. A daemon that cannot be started at all ends at
        once with status 127 and the cause in `output`.
        """
        self.make_folder(output)
        sink = os.open(self.root + output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o640)
        pid = os.fork()
        if pid == 0:
            _become(argv, user, sink)
        os.close(sink)
        return pid

    def watch(self, pid: int) -> int | None:
        """A handle of the process `pid`, whose end it tells (pidfd_open(2)); None when there is none of that number."""
        try:
            return os.pidfd_open(pid) if pid else None
        except OSError:
            return None

    def ends(self, handle: int | None, seconds: float) -> bool:
        """Wait for `seconds`; True at once when the process of `handle` has ended. None: there is none to end."""
        poll = select.poll()
        if handle is not None:
            poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def reap(self, pid: int) -> None:
        """Collect our own child `pid` if it has ended, so that it does not look alive as a zombie."""
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return


def _collect(pid: int, reader: int, timeout_s: float) -> tuple[int, str]:
    """Wait for `pid` and what it writes; it has ended when it ends, whoever else still holds its output open."""
    end = time.monotonic() + timeout_s
    handle = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(handle, select.POLLIN)
    os.set_blocking(reader, False)
    chunks: list[bytes] = []
    ended = False
    try:
        while not ended:
            left = end - time.monotonic()
            events = poll.poll(max(0, left * 1000))
            if not events and left <= 0:
                os.kill(pid, KILL)
                os.waitpid(pid, 0)
                return -1, f"{b''.join(chunks).decode(errors='replace')}no end within {timeout_s:g} s"
            ended = any(number == handle for number, _ in events)
            chunks.extend(_drain(reader, poll))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(handle)
        os.close(reader)
    return status, b"".join(chunks).decode(errors="replace")


def _drain(reader: int, poll: "select.poll") -> list[bytes]:
    chunks: list[bytes] = []
    try:
        while chunk := os.read(reader, 65536):
            chunks.append(chunk)
        poll.unregister(reader)
    except (BlockingIOError, KeyError):
        pass
    return chunks


def become(user: str) -> str:
    """Have this process be `user`'s for good; their home folder."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    return entry.pw_dir


def _become(argv: Sequence[str], user: str, sink: int) -> None:
    """In the child: turn into the daemon `argv`; never returns."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.chdir("/")
        os.umask(0o027)
        environment = dict(ENVIRONMENT)
        if user:
            environment["HOME"] = become(user)
        os.execve(argv[0], list(argv), environment)
    except BaseException as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)
