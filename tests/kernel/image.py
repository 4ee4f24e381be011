"""A kernel of Debian's, and an initramfs that runs one command among the host's files.

Both packages are only downloaded and taken apart. A kernel without an installation has nobody who finds its modules
for it, so that every module is loaded by name and after those it depends on.
"""

from __future__ import annotations

import lzma
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# The packages that others depend on; Debian's cloud kernel is half as large but cannot mount 9p.
_KERNEL_PACKAGE, _SHELL_PACKAGE = "linux-image-amd64", "busybox-static"
# What the guest does not have built in: the way to the host's files, kTLS, and what its ciphers are made of.
_MODULES = (
    "virtio_pci", "9pnet_virtio", "9p",
    "tls", "ctr", "ghash-generic", "gcm", "chacha_generic", "poly1305_generic", "chacha20poly1305",
)  # fmt: skip
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
# The tag that the host's files have on the 9p bus.
HOST_TAG = "host"
# The last line of a guest: what its command ended with.
EXIT_LINE = re.compile(r"command ended: (\d+)")
_INIT = """\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
for module in {modules}; do insmod "/modules/$module.ko"; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 {tag} /host
mount -t proc proc /host/proc
mount -t sysfs sysfs /host/sys
mount -t devtmpfs devtmpfs /host/dev
mkdir -p /host/dev/shm
mount -t tmpfs tmpfs /host/dev/shm
ip link set lo up
chroot /host /usr/bin/env -i -C {folder} {environment} {command}
echo "command ended: $?"
poweroff -f
"""
_CPIO_MAGIC = "070701"  # "newc": linux/Documentation/driver-api/early-userspace/buffer-format.rst
_CPIO_END = "TRAILER!!!"


class Kernel(NamedTuple):
    """A kernel, a shell, and modules in the order in which they can be loaded."""

    image: Path
    shell: Path
    modules: Sequence[Path]


def fetch(folder: Path) -> Kernel:
    """What an earlier call has put into `folder`, or else Debian's. Raises OSError, CalledProcessError, LookupError."""
    order = folder / "modules"
    if not order.exists() or not set(_MODULES).issubset(order.read_text().split()):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as unpacked:
            _take_apart(Path(unpacked), folder)
    names = order.read_text().split()
    return Kernel(folder / "vmlinuz", folder / "busybox", [folder / f"{name}.ko" for name in names])


def _take_apart(unpacked: Path, folder: Path) -> None:
    for package in (_newest(_KERNEL_PACKAGE), _SHELL_PACKAGE):
        # As root apt would download as a user who cannot write here, and warn.
        subprocess.run(
            ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package], cwd=unpacked, check=True
        )
    for archive in list(unpacked.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    shutil.copy(next(unpacked.glob("**/bin/busybox")), folder / "busybox")
    found = {path.name.partition(".ko")[0]: path for path in unpacked.rglob("*.ko*")}
    modules = loading_order(_MODULES, found)
    for name, data in modules.items():
        (folder / f"{name}.ko").write_bytes(data)
    (folder / "modules").write_text("\n".join(modules))  # last: its presence says that all is there


def _newest(package: str) -> str:
    """The package that a package stands for."""
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", package], capture_output=True, text=True)
    depends = re.search(r"^Depends: (\S+)", shown.stdout, re.MULTILINE)
    if depends is None:
        raise LookupError(f"apt knows no package {package}, expected Debian's, after `apt-get update`")
    return depends[1]


def loading_order(wanted: Iterable[str], found: Mapping[str, Path]) -> dict[str, bytes]:
    """The modules wanted, and those they depend on before them. Raises LookupError."""
    modules: dict[str, bytes] = {}
    for name in wanted:
        if name not in modules:
            path = found.get(name) or found.get(name.replace("_", "-"))
            if path is None:
                raise LookupError(f"the kernel package has no module {name}")
            data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            depends = _DEPENDS.search(data)
            if depends is not None and depends[1]:
                modules.update(loading_order(depends[1].decode().split(","), found))
            modules[name] = data
    return modules


def initramfs(kernel: Kernel, folder: Path, environment: Mapping[str, str], command: Sequence[str]) -> bytes:
    """An archive whose init runs `command` in `folder` of the host, prints EXIT_LINE, and powers off."""
    init = _INIT.format(
        modules=" ".join(path.stem for path in kernel.modules),
        tag=HOST_TAG,
        folder=shlex.quote(str(folder)),
        environment=" ".join(shlex.quote(f"{name}={value}") for name, value in environment.items()),
        command=shlex.join(command),
    )
    folders = dict.fromkeys(("bin", "modules", "proc", "host", "dev"), (stat.S_IFDIR | 0o755, b""))
    files = {f"modules/{path.name}": (stat.S_IFREG | 0o644, path.read_bytes()) for path in kernel.modules}
    programs = {"bin/busybox": (stat.S_IFREG | 0o755, kernel.shell.read_bytes())}
    programs["init"] = (stat.S_IFREG | 0o755, init.encode())
    # The kernel opens its console before init runs, and has made no device by then.
    console = {"dev/console": (stat.S_IFCHR | 0o600, b"")}
    return b"".join(_cpio({**folders, **console, **files, **programs}))


def _cpio(entries: Mapping[str, tuple[int, bytes]]) -> Iterator[bytes]:
    """Entries of name, mode and content; the only device is the console, 5:1."""
    for number, (name, (mode, data)) in enumerate([*entries.items(), (_CPIO_END, (0, b""))], 1):
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        yield _padded((_CPIO_MAGIC + "".join(f"{field:08X}" for field in fields) + name + "\0").encode())
        yield _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
