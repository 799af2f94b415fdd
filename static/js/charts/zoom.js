/* Zoom and pan along time. Pointer: drag a range, Ctrl and wheel, pinch; Shift and drag pans, a finger pans when zoomed.
   Keyboard on the chart: + and - zoom, Shift and arrows pan, 0 or Escape shows all. The chart's menu has the same acts.
   Charts in one figure share their range. */
(() => {
  const { looks, reading } = window.tlCharts;
  const { token } = looks;
  const FEWEST = 3;

  const all = (chart) => ({ min: 0, max: chart.data.labels.length - 1 });
  const current = (chart) => ({ min: chart.scales.x.min, max: chart.scales.x.max });
  const isZoomed = (chart) => {
    const { min, max } = current(chart);
    return min > 0 || max < all(chart).max;
  };
  const family = (chart) =>
    [...(chart.canvas.closest("figure")?.querySelectorAll("canvas[data-chart]") ?? [])]
      .map((canvas) => Chart.getChart(canvas))
      .filter((other) => other?.scales.x && other.data.labels.length === chart.data.labels.length);

  const toggleButtons = (chart) => {
    const zoomed = isZoomed(chart);
    const figure = chart.canvas.closest("figure");
    for (const element of figure?.querySelectorAll("[data-zoomed]") ?? []) element.hidden = !zoomed;
  };
  const spread = ({ chart }) => {
    const { min, max } = current(chart);
    // what was pointed at when the drag began stands elsewhere now
    reading.hide(chart);
    for (const other of family(chart)) {
      const range = current(other);
      if (range.min !== min || range.max !== max) other.zoomScale("x", { min, max }, "none");
    }
    toggleButtons(chart);
  };

  const go = (chart, min, max) => {
    const last = all(chart).max;
    const width = Math.min(last, Math.max(Math.min(FEWEST - 1, last), Math.round(max - min)));
    const from = Math.min(Math.max(0, Math.round(min)), last - width);
    for (const one of family(chart)) one.zoomScale("x", { min: from, max: from + width }, "none");
    toggleButtons(chart);
  };
  const acts = {
    in(chart) {
      const { min, max } = current(chart);
      const quarter = Math.max(1, (max - min) / 4);
      go(chart, min + quarter, max - quarter);
    },
    out(chart) {
      const { min, max } = current(chart);
      const half = Math.max(1, (max - min) / 2);
      go(chart, min - half, max + half);
    },
    earlier(chart) {
      const { min, max } = current(chart);
      const step = Math.max(1, Math.round((max - min) / 3));
      go(chart, min - step, max - step);
    },
    later(chart) {
      const { min, max } = current(chart);
      const step = Math.max(1, Math.round((max - min) / 3));
      go(chart, min + step, max + step);
    },
    reset(chart) {
      const { min, max } = all(chart);
      go(chart, min, max);
    },
  };

  const options = () => ({
    limits: { x: { min: "original", max: "original", minRange: FEWEST - 1 } },
    pan: { enabled: true, mode: "x", modifierKey: "shift", onPan: spread },
    zoom: {
      mode: "x",
      wheel: { enabled: true, modifierKey: "ctrl" },
      pinch: { enabled: true },
      drag: {
        enabled: true,
        threshold: 8,
        backgroundColor: token("--tl-band-forecast"),
        borderColor: token("--tl-line-now"),
        borderWidth: 1,
      },
      onZoom: spread,
    },
  });

  const press = (chart, event) => {
    const key = event.shiftKey && event.key.startsWith("Arrow") ? `Shift ${event.key}` : event.key;
    const act = {
      "+": "in",
      "=": "in",
      "-": "out",
      0: "reset",
      "Shift ArrowLeft": "earlier",
      "Shift ArrowRight": "later",
    }[key];
    if (act) acts[act](chart);
    else if (key === "Escape" && isZoomed(chart)) acts.reset(chart);
    else return false;
    return true;
  };

  window.tlCharts.zoom = { options, press, acts, current };
})();
