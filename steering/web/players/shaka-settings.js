// Shaka Player 5.2: the settings that survive an appliance that dies, refuses or falls silent.
//
// Two things about Shaka that no setting changes, and that steering therefore heeds:
// - it ignores steering in an HLS playlist that lists a single pathway, so a playlist lists at least two whenever there
//   is an appliance (the origin is always the last), with attributes that are the same to the byte;
// - it bans hosts by a substring of their names, so 127.0.1.1 takes 127.0.1.10 with it: name appliances apart.

import { EVENT_KEYS, REQUEST_KEYS, eventTargets } from "./cmcd.js";

const THIN_BUFFER_S = 10;

export function shakaSettings({ goal, session, title, events }) {
  // No answer, or no byte, for so long and the next location is asked. Default 30 s for each.
  const patience = goal < THIN_BUFFER_S ? 1500 : 3000;
  const retryParameters = {
    // The locations take turns, so four attempts reach the second one twice.
    maxAttempts: 4,
    baseDelay: 200,
    backoffFactor: 1.5,
    connectionTimeout: patience,
    stallTimeout: patience,
    timeout: 15_000,
  };
  return {
    streaming: {
      // Half a minute ahead outlasts an appliance's restart (default 10).
      bufferingGoal: goal,
      retryParameters,
    },
    // The manifest comes from steering alone, and there is nobody else to ask.
    manifest: {
      retryParameters: { ...retryParameters, connectionTimeout: 8000, stallTimeout: 8000 },
      // It would ask for their playlist before it plays, and not play without; the page has pictures of its own.
      disableThumbnails: true,
    },
    cmcd: {
      enabled: true,
      version: 2,
      useHeaders: false,
      sessionId: session, // its own would need HTTPS (crypto.randomUUID)
      contentId: title,
      includeKeys: REQUEST_KEYS,
      // The name is `eventTargets`; `targets` is ignored.
      eventTargets: eventTargets(events, { includeKeys: EVENT_KEYS, mode: "event", useHeaders: false }),
    },
  };
}
