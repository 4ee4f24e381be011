"""A film in, a package out.

    film -> read -> [remux] -> shots -> chunks -> join -> package -> verify -> pictures -> out/{title}/{package}/
                            -> sounds, captions --/

A package is one immutable encode of a title: one file for each rendition, playlists, an MPD, posters, thumbnails,
chapters and the manifest `package.json`. HLS and DASH share the files; segments are byte ranges with URLs of their own.

the format, which everybody to the right reads (pure)
    package     what a package is, how its URLs map to bytes, digests
    manifests   HLS playlists and MPDs from a package's segment index, for any set of pathways
    errors      what can go wrong
deciding (pure)
    source      what a film is: streams, clock, frame grid, whether it is whole
    ladder      sizes, quality and caps that fit it
    shots       where it cuts, which is where segments begin
    chunks      where it is divided, so that pieces join without a trace
    trials      which pieces are encoded on trial
    curves      what a piece costs and looks like at any size and factor, from its trials
    hull        the title's own rungs
    allotment   each shot its own factor
    correction  the factors that give a rung what was asked, while it is encoded and after
    quality     what VMAF says of a rung, and how low it may be
    commands    the arguments of every tool, each with its reason
    boxes       the segment index of an MP4 file
    soundtracks what its tracks become: stereo for all, surround beside it, how loud
    dolby       AC-3 and E-AC-3 on the film's clock, copied
    sidecars    what the names of files beside it say
    charsets    what characters their bytes are
    subrip      .srt as WebVTT
    ttml        .ttml and .dfxp as WebVTT
    subtitles   captions on the package's clock
    chapters    as people write them and players read them
    poster      which picture shows it best
    sheets      thumbnails: how many, how they lie, what manifests say of them
    languages   language tags and names
    rules/      what manifests must keep to: RFC 8216, Apple, ISO/IEC 23009-1
    sync        how far a track's sound is from the film's
doing
    process     runs ffmpeg, ffprobe and the packager; leaves none behind
    arguments   ... with arguments that are longer than Linux takes
    probe       reads a film with ffprobe
    beside      ... and the captions and chapters that lie beside it
    steps       finished steps under a key of their inputs, so that a killed encode resumes
    units       pieces of work that any machine can do, and the places where they find the film and leave their step
    encodes     the unit that takes most of the time: a chunk in several rungs
    search_units  the units of the search: where the film cuts, and trials
    scoring     VMAF of encodes beside the film
    search      shots and ladder, from those units
    video       all rungs: encoded in waves, scored, put right, checked, joined
    workers     who makes the units: threads here, any executor
    cluster     ... or a Dask cluster
    shared      film and steps in a storage, for workers that share no disk with us
    films       copies of films that are elsewhere
    storage     the origin's storages, opened by URL
    work        one film and the means to work on it
    sounds      the unit of an audio rendition: measured, encoded or copied
    captions    all captions as WebVTT
    pictures    posters and thumbnails
    packaging   packaged files as renditions
    verify      what would make a player stall fails here
    pipeline    the steps in their order
    publishing  a finished package into an origin's storage
    jobs/       many films: a queue, runners, `nearcast encode add | run | status | cancel | retry`
    cli         `nearcast encode`
"""
