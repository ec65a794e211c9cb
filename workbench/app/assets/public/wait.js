// The waiting page: asks until the server is ready, then opens what was asked for, `#token` and all.
"use strict";

async function ready() {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

async function wait() {
  while (!(await ready())) await new Promise((done) => setTimeout(done, 250));
  location.reload();
}

wait();
