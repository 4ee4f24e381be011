"""Access tokens: who may have which content, judged without asking anybody (CTA-5007, the Common Access Token).

    request -> carriage (where is the token?) -> grants (does it hold?) -> Grant, kept by the caller for the connection
            -> Grant.allow (does it allow this request?) -> renewal (is a new one due?)

A token is a map of claims in CBOR (RFC 8392), signed or MACed with COSE (RFC 9052), in base64url.

keys       the JWK Set that an operator keeps: which key verifies, and signs, with which algorithm
base64url  the text form of tokens and keys, strictly                          (pure)
envelope   token text <-> claims, over COSE_Mac0 and COSE_Sign1                (pure)
matches    one match of `catu` or `cath`: exact, prefix, ..., regex, digest    (pure)
claims     the claims that depend on the request, made ready to be judged      (pure)
grants     Verifier: a token that holds becomes a Grant                        (pure)
carriage   where in a request a token may be                                   (pure)
renewal    `catr`: the header that carries a renewed token                     (pure)
replays    which tokens were seen, for `catreplay`                             (pure)
"""
