"""The rungs of a film: which, by which codec, cut where, encoded how.

ladder    sizes, quality and caps that fit a film                                  (pure)
codec     each codec's encoder, scale of quality, presets and limits               (pure)
encoders  the arguments of each encoder                                            (pure)
chunks    where a film is divided, so that pieces join without a trace             (pure)
builds    whether the ffmpeg at hand has what is asked
units     the unit that takes most of the time: a chunk in several rungs
rungs     all rungs: encoded in waves, scored, put right, checked, joined
"""
