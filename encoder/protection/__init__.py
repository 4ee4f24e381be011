"""Encryption of what is packaged (cbcs), with keys that nobody else gets to see.

    key file or CPIX document -> KeyRing -> encryption (packager: encrypt, decrypt again, compare) -> encrypted files
                                        \\-> signals (what manifests say of each key) -> package.json, HLS, DASH

keys        content keys, and the rules that say which rendition has which    (pure)
systems     DRM systems: their IDs, `pssh` boxes, what manifests say of them  (pure)
keyfile     the key file, in TOML or JSON                                     (pure)
cpix        the same from a CPIX document (DASH-IF)                           (pure)
delivery    keys in such a document that are encrypted for us             (pure)
foreseen    the tracks that a film may become: all must have keys (pure)
keyring     either of them from a file
arguments   the packager's, without keys; and those with keys, for the pipe   (pure)
samples     which bytes of a segment are encrypted                            (pure)
encryption  the step that encrypts, and proves that it did

A key is in memory and in the pipe to the packager (encoder/running/process.py), nowhere else: not in arguments, not in
names of steps, not in errors, not in the package. What a key decides is named by a slow hash of it.
"""
