// Asking the server, and what a tab remembers over a reload. Leaves out acts that must arrive (label-outbox.js).

export async function ask(method, address, body, more = {}) {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body), ...more });
  if (!answer.ok) throw Object.assign(new Error(address), { status: answer.status });
  return answer.json();
}

export const remembered = (key, fallback) => { try { return JSON.parse(sessionStorage[key]); } catch { return fallback; } };
export const remember = (key, value) => { try { sessionStorage[key] = JSON.stringify(value); } catch { /* a reload then starts afresh */ } };
