"""Whom a client is told of, in what order, and why.

ranking  the order                                                       (pure)
cohorts  what is tried on a part of the sessions                         (pure)
cdns     other CDNs as pathways                                          (pure)
explain  a decision with its reasons, as JSON and text                   (pure)
"""
