// Runs before the first paint: puts the theme and the language of last time on <html>.
(function () {
  var root = document.documentElement;
  var theme = null;
  var language = null;
  try {
    theme = localStorage.getItem("agp-theme");
    language = localStorage.getItem("agp-language");
  } catch {
    // Storage may be forbidden; then the system's choice stands.
  }
  var dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.add(dark ? "dark" : "light");
  root.lang = language || (/^zh\b/i.test(navigator.language) ? "zh" : "en");
})();
