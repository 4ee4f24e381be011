"""The linter for partners: what looks wrong with the prefixes of their sites.

lint      what looks wrong, in sentences                                 (pure)
registry  space that was given out                                       (pure)
command   `steering prefixes check`
"""
