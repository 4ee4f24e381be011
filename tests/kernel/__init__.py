"""Claims about the appliance that need a kernel of their own, and the machine to run them in.

    ktls       what TLS in the kernel must do: `make test-ktls`; `pytest tests/kernel/ktls.py` where the kernel has it
    ends       the two ends of a connection, for ktls
    image      Debian's kernel, and an initramfs that runs one command among the files of the host
    machine    boots them in QEMU: `python -m tests.kernel.machine COMMAND ...` ends as its command ended

The guest sees the files of the host through 9p and cannot write them: Python, its packages and the checkout are the
ones that run here, so nothing has to be copied or installed for it.
"""
