"""A title's own ladder: found by trial encodes, kept to by VMAF of what was encoded.

shots       where a film cuts, which is where segments begin                       (pure)
trials      which pieces are encoded on trial                                      (pure)
curves      what a piece costs and looks like at any size and factor               (pure)
hull        the title's rungs                                                      (pure)
allotment   each shot its own factor                                               (pure)
quality     what VMAF says of a rung, and how low it may be                        (pure)
correction  the factors that give a rung what was asked, while it is encoded and after    (pure)
scoring     VMAF of encodes beside the film
units       the units of the search: where the film cuts, and trials
search      shots and ladder, from those units
"""
