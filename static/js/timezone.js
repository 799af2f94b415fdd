/* Offers the visitor's own time zone where none has been chosen yet. */
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const select of document.querySelectorAll("select[data-timezone]")) {
    const offers = [...select.options].some((option) => option.value === zone);
    if (offers && select.value === "UTC" && !select.form.querySelector(".is-invalid")) select.value = zone;
  }
})();
