/* How a series looks. A page says what a series is (its role, its slot); color, width and dash are decided here,
   from tokens.css, so that every chart speaks one language and a change of theme is a redraw. */
(() => {
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /* A slot is 1 … 10, "other", "unpriced", "total", or a kind of token such as "kind-output". */
  const slotColor = (slot) => {
    if (slot === "total") return token("--tl-ink-2");
    return token(String(slot).startsWith("kind-") ? `--tl-${slot}` : `--tl-series-${slot}`);
  };

  /* Axis ticks only: compact, without a trailing zero. What a person reads as a figure comes from the server. */
  const trim = (x, digits) => x.toLocaleString("en-US", { maximumFractionDigits: digits });
  const short = (v) => {
    if (v >= 1e12) return `${trim(v / 1e12, 2)}T`;
    if (v >= 1e9) return `${trim(v / 1e9, 2)}B`;
    if (v >= 1e6) return `${trim(v / 1e6, 1)}M`;
    return v >= 1e4 ? `${trim(v / 1e3, 1)}K` : trim(v, 2);
  };
  const step = (all) => (all.length > 1 ? all[1].value - all[0].value : 0);
  /* As many decimals as tell every tick of an axis from the next, the same for all of them */
  const decimals = (apart) => (apart.toFixed(8).replace(/0+$/, "").split(".")[1] ?? "").length;
  /* Minutes and hours are no powers of ten: ticks of long durations stand on whole ones */
  const wholeDurations = (highest) => {
    if (highest < 12e4) return undefined;
    return highest < 72e5 ? 6e4 : 36e5;
  };
  const ticks = {
    tokens: short,
    count: short,
    percent: (v) => `${trim(v * 100, 1)}%`,
    milliseconds: (v, _, all) => {
      const apart = step(all);
      if (apart % 36e5 === 0) return `${trim(v / 36e5, 0)} h`;
      if (apart % 6e4 === 0) return `${trim(v / 6e4, 0)} min`;
      return v >= 1e3 || v === 0 ? `${trim(v / 1e3, 1)} s` : `${trim(v, 0)} ms`;
    },
    ratio: (v) => `${trim(v, 2)}×`,
    usd: (v, _, all) => {
      if (v >= 1e6) return `$${trim(v / 1e6, 1)}M`;
      if (v >= 1e3) return `$${trim(v / 1e3, 1)}K`;
      const digits = decimals(step(all));
      return v === 0 ? "$0" : `$${v.toFixed(digits && Math.max(2, digits))}`;
    },
  };

  const lineColor = (s) => (s.slot ? slotColor(s.slot) : token("--tl-line-now"));
  const dot = { borderWidth: 0, showLine: false, pointBorderWidth: 2, order: 0 };
  const roles = {
    now: () => ({
      borderColor: token("--tl-line-now"),
      backgroundColor: token("--tl-area-now"),
      borderWidth: 2,
      fill: "origin",
      order: 2,
    }),
    line: (s) => ({ borderColor: lineColor(s), borderWidth: 2, fill: false, order: 3 }),
    previous: () => ({
      borderColor: token("--tl-line-prev"),
      borderWidth: 1.5,
      borderDash: [4, 4],
      fill: false,
      order: 4,
    }),
    forecast: () => ({
      borderColor: token("--tl-line-forecast"),
      borderWidth: 2,
      borderDash: [0.5, 5],
      borderCapStyle: "round",
      fill: false,
      order: 1,
    }),
    low: () => ({ borderWidth: 0, fill: false, order: 5 }),
    high: () => ({ borderWidth: 0, backgroundColor: token("--tl-band-forecast"), fill: "-1", order: 5 }),
    partial: (s) => ({
      ...dot,
      pointRadius: 4,
      pointBackgroundColor: token("--tl-sheet"),
      pointBorderColor: lineColor(s),
    }),
    anomaly: () => ({
      ...dot,
      pointRadius: 6,
      pointHoverRadius: 6,
      pointBackgroundColor: "transparent",
      pointBorderColor: token("--tl-mark-anomaly"),
    }),
  };
  const states = {
    past: "--tl-kind-context",
    partial: "--tl-kind-files",
    forecast: "--tl-band-forecast",
    anomaly: "--tl-mark-anomaly",
  };

  /* Unpriced is hatched everywhere */
  const hatch = () => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.strokeStyle = slotColor("unpriced");
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const [x, y] of [
      [0, 6],
      [-3, 3],
      [3, 9],
    ]) {
      pen.moveTo(x, y);
      pen.lineTo(x + 6, y - 6);
    }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  };
  const fill = (slot) => (slot === "unpriced" ? hatch() : slotColor(slot));
  /* A bar that still grows */
  const paleFill = (slot) => (slot === "unpriced" ? hatch() : Chart.helpers.color(slotColor(slot)).alpha(0.5).rgbString());

  const markColors = { budget: ["--tl-line-budget", "--tl-caution-text"], limit: ["--tl-ink-2", "--tl-axis"] };
  const mark = (m) => {
    const [line, text] = markColors[m.role] ?? ["--tl-rule-strong", "--tl-axis"];
    const isLevel = m.x === undefined;
    return {
      type: "line",
      drawTime: "afterDatasetsDraw",
      ...(isLevel ? { yMin: m.y, yMax: m.y } : { xMin: m.x, xMax: m.x }),
      borderColor: token(line),
      borderWidth: 1,
      borderDash: m.role === "threshold" ? [2, 3] : undefined,
      label: {
        display: true,
        // under the lines: a label covers no figure
        drawTime: "beforeDatasetsDraw",
        content: m.label,
        position: m.at ?? "start",
        backgroundColor: token("--tl-sheet"),
        color: token(text),
        font: { size: 11, weight: 500 },
        padding: { x: 5, y: 1 },
        xAdjust: isLevel ? 0 : (m.shift ?? 0),
        yAdjust: isLevel ? (m.lift ?? -10) : 0,
        borderRadius: 2,
      },
    };
  };

  window.tlCharts = { looks: { token, slotColor, fill, paleFill, ticks, wholeDurations, roles, states, mark } };
})();
