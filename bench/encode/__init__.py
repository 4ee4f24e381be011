"""What an encode is worth: `nearcast bench encode CLIP...`, ours beside ladders of the same encoder, and a peer.

    clip -> plain film -> ours (H.264, AV1), Apple's rungs, shaka-streamer, every size at every factor -> rungs on disk
         -> VMAF of every frame -> BD-rate, sessions, storage, cost -> rows -> tables, JSON

curves      BD-rate and sessions of two ladders                                     (pure)
result      rows, what they must reach, the document                                (pure)
master      the film as all subjects get it
programme   unlike clips as one film
subjects    ours and Apple's rungs, and what they cost
shaka       the peer
grid        every size at every factor: the exhaustive hull
quality     VMAF of all frames of what lies on disk, beside the film
metered     processor time of each stage, scoring apart
memory      what all processes held at most
chunking    what cutting costs
kills       an encode that is killed again and again
measure     one clip, all subjects; all clips' rows
cli         the command
"""
