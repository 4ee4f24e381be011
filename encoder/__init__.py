"""A film in, a package out.

    film -> read -> [remux] -> shots -> chunks -> join -> package -> verify -> pictures -> out/{title}/{package}/
                            -> sounds, captions --/

A package is one immutable encode of a title: one file for each rendition, playlists, an MPD, posters, thumbnails,
chapters and the manifest `package.json`. HLS and DASH share the files; segments are byte ranges with URLs of their own.

film/         what a film is: its streams, clock, frame grid, colours and languages
video/        the ladder's rungs: codecs, chunks, and the waves in which they are encoded
per_title/    a title's own ladder: shots, trials, hull, and what VMAF says of what was encoded
sound/        its audio tracks: stereo for all, surround beside it, how loud, and whether in time
captions/     captions and chapters, of the film and of files beside it
pictures/     posters, and thumbnails for the seek bar
packages/     packaged files as renditions, their checks, and where a package goes
rules/        what manifests must keep to: RFC 8216, Apple, ISO/IEC 23009-1
protection/   keys, encryption, and what players are told of it
running/      tools, steps that survive a kill, and workers on this machine and others
report/       the page beside each package
jobs/         many films: a queue, runners, `nearcast encode add | run | status | cancel | retry`

package       what a package is, how its URLs map to bytes, digests: what everybody to the right reads      (pure)
manifests     HLS playlists and MPDs from a package's segment index, for any set of pathways                (pure)
commands      the arguments of every tool, each with its reason                                             (pure)
pipeline      the steps in their order
cli           `nearcast encode`
errors        what can go wrong
"""
