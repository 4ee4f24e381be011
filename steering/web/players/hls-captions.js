// hls.js 1.7: keeps captions over a switch of pathway.
//
// It then empties its text tracks, as if others had come, and loads nothing, as it finds the same tracks loaded: captions
// are gone for the rest of the film. So what was read is kept here, and put back.

export function keepCaptions(Hls, hls, video) {
  const kept = new Map(); // a text track's name -> its cues

  const nameOf = ({ kind, label, language }) => `${kind} ${label} ${language}`;

  const keep = () => {
    for (const track of video.textTracks) if (track.cues?.length) kept.set(nameOf(track), [...track.cues]);
  };

  const putBack = () => {
    for (const track of video.textTracks) {
      const isEmptied = track.mode !== "disabled" && track.cues?.length === 0;
      for (const cue of (isEmptied && kept.get(nameOf(track))) || []) track.addCue(cue);
    }
  };

  hls.on(Hls.Events.SUBTITLE_FRAG_PROCESSED, keep);
  // hls.js empties them in the same turn, after this or before.
  hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => setTimeout(putBack));
  hls.on(Hls.Events.SUBTITLE_TRACK_LOADED, () => setTimeout(putBack));
}
