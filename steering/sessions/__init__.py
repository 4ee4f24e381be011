"""The session: what players ask and are answered, and what they carry in between.

session      the session as a signed token                               (pure)
access       its access token, good on every appliance (pure); credentials: the key that makes it
pathways     steering manifests, and the quirks of who asks for them     (pure)
clones       pathways that a session's manifest does not list            (pure)
players      what players ask and are answered, whoever brings it
"""
