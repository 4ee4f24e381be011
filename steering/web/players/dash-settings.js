// dash.js 5.2: the settings that survive an appliance that dies, refuses or falls silent.

import { EVENT_KEYS, REQUEST_KEYS, eventTargets } from "./cmcd.js";

// With less ahead than this a silent appliance must be left sooner.
const THIN_BUFFER_S = 10;

export function dashSettings({ goal, session, title, events }) {
  const isThin = goal < THIN_BUFFER_S;
  return {
    debug: { logLevel: 0 },
    streaming: {
      applyContentSteering: true,
      buffer: {
        // Half a minute ahead outlasts an appliance's restart, at the top rung too.
        bufferTimeDefault: goal,
        bufferTimeAtTopQuality: goal,
        bufferTimeAtTopQualityLongForm: goal,
      },
      // Default 3, on the same appliance, a second apart. Another location has the same bytes: one more attempt at a
      // silent one cost 4 s and a stall of 3 s.
      retryAttempts: { MediaSegment: 0, InitializationSegment: 0, IndexSegment: 0 },
      // Default 20 s. It bounds the whole request, so it is no shorter than a 4 s segment of the lowest rung takes on a
      // link that can just play it.
      fragmentRequestTimeout: isThin ? 3000 : 5000,
      // Default off. A transfer that stops half-way is given up after this, however long a slow one may take.
      fragmentRequestProgressTimeout: isThin ? 1500 : 2500,
      manifestRequestTimeout: 8000,
      // Default 0.5 s. Where dash.js notices the end of the film before the video element does, it seeks to the end and
      // pauses; moved back by so much, the film would stand there for ever, neither playing nor ended (1 play in 10).
      seekDurationBackoff: 0,
      cmcd: {
        enabled: true,
        version: 2,
        mode: "query",
        sid: session,
        cid: title,
        enabledKeys: REQUEST_KEYS,
        // Without `enabledKeys` of its own a target gets e, ts and v alone. Its `ttfb` is a time of day, no duration.
        eventTargets: eventTargets(events, { enabledKeys: EVENT_KEYS.filter((key) => key !== "ttfb") }),
      },
    },
  };
}
