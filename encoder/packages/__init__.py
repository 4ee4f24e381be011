"""From encoded files to a package: the segment index read back, checks, publication.

boxes       the segment index of an MP4 file                                       (pure)
gzipped     documents that share their end, gzipped once                           (pure)
signalling  what manifests say of encryption                                       (pure)
renditions  packaged files as renditions
verify      what would make a player stall fails here
publishing  a finished package into an origin's storage
"""
