// How long a player waits before it asks again, when nobody gave it anything.

const SOONEST_MS = 1000;
const LONGEST_MS = 15_000;
// Who has nothing left looks at a film that stands still; appliances that refuse are not hurt by a request in 3 s.
const LONGEST_WHEN_DRY_MS = 3000;
const SPREAD = 0.2; // of each wait, so that a herd does not come back in one moment

// A quarter of what is ahead each time: several attempts before the film stands still, and few while there is time.
export function backOff(video) {
  let atLeast = SOONEST_MS;
  return {
    next() {
      const wait = Math.min(Math.max(ahead(video) * 250, atLeast), LONGEST_MS);
      atLeast = Math.min(atLeast * 2, LONGEST_WHEN_DRY_MS);
      return wait * (1 - SPREAD * Math.random());
    },
    reset() {
      atLeast = SOONEST_MS;
    },
  };
}

// Seconds of film that are loaded beyond the place where it is.
export function ahead(video) {
  for (let i = 0; i < video.buffered.length; i += 1) {
    // A tenth of a second: audio and video seldom start at the same sample.
    if (video.buffered.start(i) <= video.currentTime + 0.1 && video.buffered.end(i) > video.currentTime) {
      return video.buffered.end(i) - video.currentTime;
    }
  }
  return 0;
}
