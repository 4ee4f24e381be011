"""The journal: what steering knew, so that any moment of the last days can be looked at again.

    fleet, catalog, settings --> changes --> following --> segments on disk --> reading --> past --> explain, replay

A journal is a folder of segments of an hour each (`20261121T190000.000Z.jsonl.gz`): JSON lines, compressed, which
`zcat` and `jq` read as well. Each segment begins with all that is known, so any of them can be read without those
before it, and goes on with what changes. It is written behind, by one worker of a host, and is never in the way of an
answer.

records     the lines of a segment                                        (pure)
changes     what is new since it was last said, and all of it again       (pure)
numbering   packages and sets of files by number, and what is held as bits (pure)
past        what steering knew at a moment, from the lines up to it       (pure)
moments     moments as operators write them                               (pure)
segments    the files: hours, compression, full disks, damaged ends
following   looks at the working set, a slice at a time, and has it written
"""
