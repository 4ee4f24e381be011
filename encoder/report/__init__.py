"""The report of an encode: one page of HTML beside the package, for who wants to know why the ladder is as it is.

    package, plan, rungs, trials, scores -> facts -> figures (charts, tables) -> page -> {package}.report.html

facts     what is told, and what follows from it                                    (pure)
estimate  the fixed ladder as the trials tell it, and what ours saves               (pure)
figures   each chart with its table                                                 (pure)
axes      scales and round numbers                                                  (pure)
charts    SVG                                                                       (pure)
look      the style sheet                                                           (pure)
page      HTML                                                                      (pure)
stills    the worst moment of a rung beside the film
costs     processor time of each stage
write     from a finished encode to the file

The page needs no network and no script. It is not part of the package, which is public, immutable and named by what it
holds; it tells of the machine that made it.
"""
