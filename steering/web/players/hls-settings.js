// hls.js 1.7: the settings that survive an appliance that dies, refuses or falls silent.

import { EVENT_KEYS, REQUEST_KEYS, eventTargets } from "./cmcd.js";

const LOADING = {
  default: {
    // An appliance answers within milliseconds, or fetches and answers within 2 s.
    maxTimeToFirstByteMs: 3000,
    // Default 120 s. It decides a hang in mid-body: the first byte's timeout ends when headers have come.
    maxLoadTimeMs: 8000,
    // Do not ask the silent one again: another pathway has the same bytes.
    timeoutRetry: { maxNumRetry: 0, retryDelayMs: 0, maxRetryDelayMs: 0 },
    // Default 6, up to 14 s on an appliance that answers 503. So few are fatal when all refuse: see hls-guard.js.
    errorRetry: { maxNumRetry: 1, retryDelayMs: 300, maxRetryDelayMs: 1000 },
  },
};

export function hlsSettings({ goal, start, session, title, events }) {
  return {
    startPosition: start,
    // Half a minute ahead outlasts an appliance's restart.
    maxBufferLength: goal,
    // Default 600: a low rung would be loaded minutes ahead, wasted when the viewer leaves or the picture gets better.
    maxMaxBufferLength: goal,
    // Default unlimited: a two-hour film would end in a full source buffer.
    backBufferLength: 30,
    fragLoadPolicy: LOADING,
    playlistLoadPolicy: LOADING,
    // Steering has no other pathway to go to, so it is asked again; hls.js retries after the TTL beyond that.
    steeringManifestLoadPolicy: {
      default: {
        maxTimeToFirstByteMs: 5000,
        maxLoadTimeMs: 8000,
        timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
        errorRetry: { maxNumRetry: 1, retryDelayMs: 1000, maxRetryDelayMs: 2000 },
      },
    },
    // Default version 1, which has no events.
    cmcd: {
      version: 2,
      sessionId: session,
      contentId: title,
      useHeaders: false,
      includeKeys: REQUEST_KEYS,
      eventTargets: eventTargets(events, { includeKeys: EVENT_KEYS }),
    },
  };
}
