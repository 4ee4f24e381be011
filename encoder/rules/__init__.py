"""What a package's manifests must keep to before anybody sees them: the texts in, broken rules out.

The documents are read as a player reads them, by parsers that know nothing of encoder/manifests.py, and compared with
each other, with the package's files and with what the standards ask. A rule that a standard says "must" of refuses the
package; what it only recommends is said.

    finding     one broken rule
    hls         playlists: RFC 8216 and Apple's authoring rules (pure)
    grammar     elements and attributes of an MPD, as ISO/IEC 23009-1 has them (pure)
    dash        MPDs: the grammar, and what no grammar can say (pure)
"""
