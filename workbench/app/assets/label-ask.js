// Asking the server, its texts, and what a tab remembers over a reload. Leaves out acts that must arrive (label-outbox.js).

export async function ask(method, address, body, more = {}) {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body), ...more });
  if (answer.ok) return answer.json();
  const { error = address } = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(error), { status: answer.status });
}

// One function per group: the text of a key, with values where its braces stand.
export async function textsOf(lang, ...groups) {
  const texts = await ask("GET", `/assets/i18n/${lang}.json`);
  return groups.map((group) => (key, values = {}) =>
    (texts[`${group}.${key}`] ?? `${group}.${key}`).replace(/\{(\w+)\}/g, (_, name) => values[name]));
}

export const remembered = (key, fallback) => { try { return JSON.parse(sessionStorage[key]); } catch { return fallback; } };
export const remember = (key, value) => { try { sessionStorage[key] = JSON.stringify(value); } catch { /* a reload then starts afresh */ } };
