// The pages before the app: the language switch, the link by which somebody sets a password, and forgetting drafts.
"use strict";

// Whoever signed out leaves nothing half written behind (label-drafts.js); labels on their way stay.
if (/(?:^|; )left=1/.test(document.cookie)) {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("label.draft/")) localStorage.removeItem(key);
  } catch { /* storage is off */ }
  document.cookie = "left=; path=/login; max-age=0";
}

document.getElementById("language").addEventListener("click", (event) => {
  document.cookie = `lang=${event.target.lang}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
});

const form = document.getElementById("welcome");
if (form) welcome(new URLSearchParams({ token: location.hash.slice(1) }));

async function post(values) {
  const answer = await fetch("/welcome", { method: "POST", body: values });
  return answer.json();
}

async function welcome(values) {
  const failed = document.getElementById("failed");
  const fail = (text) => { failed.textContent = text; };
  const ask = async (more) => {
    try {
      return await post(new URLSearchParams([...values, ...more]));
    } catch {
      return { error: failed.dataset.network };
    }
  };
  const link = await ask([]);
  document.getElementById("checking").hidden = true;
  if (link.error) return fail(link.error);
  document.getElementById(link.name ? "invited" : "first").hidden = false;
  document.getElementById("name-help").hidden = Boolean(link.name);
  form.elements.name.value = link.name;
  form.elements.name.readOnly = Boolean(link.name);
  form.hidden = false;
  form.elements[link.name ? "password" : "name"].focus();
  document.getElementById("show").addEventListener("change", (event) => {
    form.elements.password.type = event.target.checked ? "text" : "password";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    const made = await ask(new FormData(form));
    button.disabled = false;
    if (made.error) return fail(made.error);
    location.replace(made.next);
  });
}
