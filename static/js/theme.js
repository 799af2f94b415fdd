/* Loaded in <head> before any paint: the stored choice, else the system's. */
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("tl-theme");
    } catch {
      return null; // storage may be blocked; the system's choice still works
    }
  };
  const apply = (theme) => {
    root.dataset.bsTheme = theme;
    window.dispatchEvent(new Event("tl:theme"));
  };
  root.classList.add("js");
  apply(stored() ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => stored() ?? apply(system.matches ? "dark" : "light"));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const theme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("tl-theme", theme);
    } catch {
      /* kept for this page only */
    }
    apply(theme);
  });
})();
