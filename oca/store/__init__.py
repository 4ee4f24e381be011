"""What an appliance holds.

volume  a directory of packages whose tree is the inventory; kill -9 leaves nothing to undo
scrub   re-reads what is held and drops what has rotted
"""
