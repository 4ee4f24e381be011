"""Boots Debian's kernel in QEMU, runs one command among this machine's files, and ends as the command ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.kernel.image import EXIT_LINE, HOST_TAG, Kernel, fetch, initramfs

_CHECKOUT = Path(__file__).resolve().parents[2]
_KERNEL_FOLDER = _CHECKOUT / ".cache" / "kernel"
_PROGRAM = "qemu-system-x86_64"
# Emulated on one core, the tests of this folder take less than two minutes.
_LIMIT_S = 600.0
# /dev/shm is the guest's own, and the only folder that it can write.
_ENVIRONMENT = {"HOME": "/dev/shm", "TMPDIR": "/dev/shm", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


def main(command: list[str]) -> int:
    """The exit code of the command; 1 where it did not come to its end, after a sentence that says why."""
    try:
        status = _run(fetch(_KERNEL_FOLDER), command)
    except FileNotFoundError as error:
        return _fail(f"{error.filename} is not here (on Debian: apt install qemu-system-x86)")
    except (OSError, LookupError, subprocess.CalledProcessError) as error:
        return _fail(str(error))
    if status is None:
        return _fail(f"the machine ended without its command, or was ended after {_LIMIT_S:.0f} s")
    return status


def _fail(sentence: str) -> int:
    sys.stderr.write(f"error: {sentence}\n")
    return 1


def _run(kernel: Kernel, command: list[str]) -> int | None:
    """Passes on what the guest prints; the exit code of the command, or None where nothing told it."""
    status = None
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "initramfs"
        archive.write_bytes(initramfs(kernel, _CHECKOUT, _ENVIRONMENT, command))
        arguments = _arguments(kernel, archive)
        with subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as machine:
            timer = threading.Timer(_LIMIT_S, machine.kill)
            timer.start()
            try:
                assert machine.stdout is not None
                for line in machine.stdout:
                    if told := EXIT_LINE.fullmatch(line.rstrip()):
                        status = int(told[1])
                        break
                    sys.stdout.write(line)
                    sys.stdout.flush()
            finally:
                timer.cancel()
                machine.kill()
    return status


def _arguments(kernel: Kernel, archive: Path) -> list[str]:
    host = f"local,path=/,mount_tag={HOST_TAG},security_model=none,readonly=on,multidevs=remap"
    return [
        _PROGRAM,
        # In software: slow, but the same everywhere. Where machines are nested, /dev/kvm may be there and not work.
        *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "1G"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", "stdio"),
        *("-kernel", str(kernel.image), "-initrd", str(archive)),
        # A kernel that panics reboots at once, which -no-reboot makes an end.
        *("-append", "console=ttyS0 quiet panic=-1"),
        *("-virtfs", host),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
