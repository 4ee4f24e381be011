"""What an appliance holds.

    key -> volumes: which volume, room, turns -> volume: threads, health -> blocks: bytes and claims on its disk

volumes    all volumes as one: opens, places, drops, takes out what fails
inventory  what is held, in memory; it is read from the trees at the start, so kill -9 leaves nothing to undo
scan       the reading of a tree
volume     one directory, the threads that work on it, and whether it is well
health     tells a volume from an empty mount point, and one that can be written to from one that cannot
changes    notices that somebody else writes to content
blocks     one open file: its names, bytes and marks
scrub      re-reads what is held and has repaired what has rotted
"""
