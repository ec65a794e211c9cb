// Runs before Gradio looks at the browser: what the user chose counts for more than what the system says.
"use strict";
(() => {
  const chosen = (name) => document.cookie.match(`(?:^|; )${name}=(\\w+)`)?.[1];

  const lang = { en: "en", zh: "zh-CN" }[chosen("lang")];
  if (lang) {
    Object.defineProperty(navigator, "language", { get: () => lang });
    Object.defineProperty(navigator, "languages", { get: () => [lang] });
  }
  const spoken = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === "en" || tag === "zh");
  document.documentElement.lang = spoken ?? "en";

  const dark = "(prefers-color-scheme: dark)";
  const system = window.matchMedia.bind(window);
  const theme = chosen("theme");
  const show = () => {
    document.documentElement.dataset.theme = window.matchMedia(dark).matches ? "dark" : "light";
  };
  if (theme === "light" || theme === "dark") {
    const fixed = { matches: theme === "dark", media: dark, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} };
    window.matchMedia = (query) => (query.replaceAll(" ", "").includes("prefers-color-scheme:dark") ? fixed : system(query));
  } else {
    system(dark).addEventListener("change", show);
  }
  show();
})();
