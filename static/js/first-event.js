/* Waits for the first event: asks for this page again, quietly, until it no longer waits, then shows it. */
(() => {
  const PAUSE = 5000;
  const look = async () => {
    if (!document.hidden) {
      try {
        const response = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
        if (response.ok && !(await response.text()).includes("data-first-event")) return location.reload();
      } catch {
        /* offline for a moment; the next look will tell */
      }
    }
    setTimeout(look, PAUSE);
  };
  setTimeout(look, PAUSE);
})();
