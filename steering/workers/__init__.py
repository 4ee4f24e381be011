"""Several processes of one port.

worker      one of them; with one worker the whole of `nearcast steering serve`
parent      starts them, ends them, tells them what changed
exposition  their metrics as one text                                    (pure)
"""
