// Asks steering; what it refuses becomes an Error with the sentence it gave.

export async function get(path) {
  return answer(await fetch(path, { cache: "no-store" }));
}

// Nothing in it that would make the browser ask for permission first: what answers need not know of preflights.
export async function post(url) {
  return answer(await fetch(url, { method: "POST" }));
}

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok)
    throw Object.assign(new Error(body.detail ?? `answered ${response.status}`), { status: response.status });
  return body;
}
