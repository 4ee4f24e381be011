"""What an encode is worth: `nearcast bench encode CLIP...`, ours beside a fixed ladder of the same encoder and preset.

    clip -> ours (the product's own encode), fixed (Apple's rungs), shaka-streamer -> rungs on disk
         -> VMAF of every frame -> BD-rate, sessions, storage, cost -> result -> table, JSON

curves    BD-rate and sessions of two ladders                                       (pure)
subjects  who encodes the clip, and what it cost
quality   VMAF of all frames of what lies on disk, beside the clip
metered   processor time of each stage
measure   one clip, all subjects
result    rows, what they must reach, the document                                  (pure)
cli       the command
"""
