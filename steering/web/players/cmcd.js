// What players tell of themselves: CMCD version 2 (CTA-5004-B), in the query of each request and as events to steering.

// In the query: a header would cost a preflight for every URL. Without `nor`, which repeats the next URL, token and all.
export const REQUEST_KEYS = ["bl", "br", "bs", "cid", "d", "mtp", "ot", "sf", "sid", "st", "sta", "su", "v"];
export const EVENT_KEYS = [
  ...["bl", "br", "bs", "cid", "e", "ec", "h", "mtp", "ot", "rc"],
  ...["sf", "sid", "sn", "st", "sta", "ts", "ttfb", "ttlb", "url", "v"],
];

// Steering has to hear of a stall at once; of requests that went well, now and then.
export function eventTargets(url, keys) {
  return [
    { enabled: true, url, events: ["ps", "e"], batchSize: 1, interval: 0, ...keys },
    { enabled: true, url, events: ["rr"], batchSize: 8, interval: 0, ...keys },
  ];
}

// Makes an event report ready to leave: it goes to steering with the session's token, names the appliance in use (`h`,
// which no player fills in), and its URLs lose their tokens: an access token stands in the path, steering's in the query.
export function prepare(report, { token, host }) {
  const url = token ? `${report.url}?s=${encodeURIComponent(token)}` : report.url;
  const records = report.body.split("\n").map((record) => {
    const bare = record.replace(/url="[^"]*"/, (all) => all.replace(/\/t\/[^/]+\/v1\//, "/v1/").replace(/\?[^"]*/, ""));
    return !bare || !host || /(^|,)(h|url)=/.test(bare) ? bare : `${bare},h="${host}"`;
  });
  return { ...report, url, body: records.join("\n") };
}
