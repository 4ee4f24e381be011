"""The lean side of the service's port: what is asked all day is answered here, everything else by aiohttp behind it.

    bytes -> requests (is it one of the few, in a form that is wholly understood?) -> players, reports -> answer's bytes
                  '-> no: the connection, with all that was read, becomes aiohttp's, for good

Players send four kinds of requests and appliances one, ten thousand of them for each one of everybody else's. aiohttp
takes 200 us for one (routing, headers, a task), which is four times what deciding it takes. The front takes a request
only if it knows each byte of its form; whatever is unusual (HTTP/1.0, content in chunks, a title with escapes, a report
of a megabyte) is aiohttp's to judge, and has the same answer, for both ask `steering.sessions.players` and
`steering.service`. So nothing is decided here, and there is no second opinion on what is malformed.

requests    bytes to requests, for those that are the front's     (pure)
answers     answers to bytes                                      (pure)
connection  one client: reads, writes, waits, hands over
listener    the port: accepts, times out, closes
"""
