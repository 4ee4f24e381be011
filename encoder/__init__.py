"""A film in, a package out.

    film -> read -> [remux] -> shots -> chunks -> join -> package -> verify -> poster -> out/{title}/{package}/
                            -> audio, captions ---/

A package is one immutable encode of a title: one file for each rendition, playlists, an MPD, a poster and the manifest
`package.json`. HLS and DASH share the files; segments are byte ranges with URLs of their own.

the format, which everybody to the right reads (pure)
    package     what a package is, how its URLs map to bytes, digests
    manifests   HLS playlists and MPDs from a package's segment index, for any set of pathways
    errors      what can go wrong
deciding (pure)
    source      what a film is: streams, clock, frame grid, whether it is whole
    ladder      sizes, quality and caps that fit it
    shots       where it cuts, which is where segments begin
    chunks      where it is divided, so that pieces join without a trace
    commands    the arguments of every tool, each with its reason
    boxes       the segment index of an MP4 file
    subtitles   captions on the package's clock
    poster      which picture shows it best
    languages   language tags and names
doing
    process     runs ffmpeg, ffprobe and the packager; leaves none behind
    probe       reads a film with ffprobe
    steps       finished steps under a key of their inputs, so that a killed encode resumes
    packaging   packaged files as renditions
    verify      what would make a player stall fails here
    pipeline    the steps in their order
    cli         `nearcast encode`
"""
