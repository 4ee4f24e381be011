"""Replay: a day's sessions decided again, as it was and with one thing changed.

    journal ----.                       .-> world as it was ---> agreement with the log
                +-> timeline (by time) -+                        } tally -> outcome -> text, JSON
    decisions --'                       '-> world with a change -> tally

Both worlds are the service's own director and ranking, fed with what the journal says and with the sessions that begin
in them. So what is compared differs in the change and in nothing else.

change      what is changed: sites or appliances down, other settings, other sites    (pure)
plays       the sessions that began, from logs of decisions
timeline    journal and sessions in the order of their times, and what can be said of them beforehand
files       what decides beside the journal, as far as it is here
world       steering as it was at a moment, or as it would have been
loads       what appliances and sites had to serve: mean, peak, how long they were full    (pure)
tally       where sessions were sent, and how far                                      (pure)
outcome     the result as values                                                       (pure)
show        the result as text                                                         (pure)
compare     runs both worlds over the timeline
moment      one decision of a moment: `explain --at`
cli         the command
"""
