/* The value of a slider stands beside it while it moves; the plan follows when it is let go. */
(() => {
  document.addEventListener("input", (event) => {
    const output = document.getElementById(event.target.dataset.slider);
    if (output) output.textContent = `${event.target.value}%`;
  });
})();
