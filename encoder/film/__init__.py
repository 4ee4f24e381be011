"""What a film is: its streams, its clock and frame grid, its colours, judged before any work begins.

source     streams, clock, frame grid, whether it is whole                        (pure)
colour     primaries, transfer, matrix, dynamic range, the mastering screen       (pure)
obus       AV1's metadata, as far as HDR goes                                     (pure)
languages  tags and names                                                         (pure)
probe      reads a film with ffprobe
hdr        what a file says of its colour, and whether an encode says the same
"""
