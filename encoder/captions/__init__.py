"""Captions and chapters: those in a film, and those in files beside it.

sidecars  what the names of files beside a film say                                (pure)
charsets  what characters their bytes are                                          (pure)
subrip    .srt as WebVTT                                                           (pure)
ttml      .ttml and .dfxp as WebVTT                                                (pure)
webvtt    captions on the package's clock                                          (pure)
chapters  as people write them and players read them                               (pure)
beside    reads what lies beside a film
step      all captions as WebVTT
"""
