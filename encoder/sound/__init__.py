"""A film's audio tracks as renditions.

soundtracks  what tracks become: stereo for all, surround beside it, how loud      (pure)
dolby        AC-3 and E-AC-3 on the film's clock, copied                           (pure)
sync         how far a track's sound is from the film's                            (pure)
units        the unit of a rendition: measured, encoded or copied
"""
