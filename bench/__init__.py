"""The whole network on one machine, simulated players, and what came of it; numbers beside those of others.

    film -> demo (encode, publish, fill) -> fleet: origin, steering, appliances, agents  <-stop, start-  control
                                              ^ manifests, segments, steering
                                            players -> result

cli           the commands `nearcast demo` and `nearcast bench`
interrupt     a signal before there is an event loop
demo          encodes, fills, plays through with a kill in the middle, checks what came of it
fleet         the local network: starts, stops, kills, hangs and refuses on purpose
processes     one process of it
control       the web page's stop and start buttons
players       a simulated player: its requests
playback      its decisions: pathways and penalties, rendition, what is next, what the viewer sees    (pure)
presentation  what it reads: HLS with m3u8, DASH with mpegdash, steering manifests    (pure)
reference     the encoded bytes, to compare with what it was sent
result        what came of it: values, tables    (pure)
errors        what can go wrong
clips/        a film to begin with
delivery/     `nearcast bench delivery`: our appliance beside its peers
fill/         `nearcast bench fill`: forecasts, plans and transfers on real popularity data
"""
