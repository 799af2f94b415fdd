/* Charts from data. A page gives JSON and a canvas; see docs/guides/design.md for the contract:
     <figure class="tl-chart"> … <canvas data-chart="spend" role="img" aria-label="…"></canvas> … </figure>
     <script type="application/json" id="spend">{"kind": "lines", "unit": "usd", "labels": […], "series": […]}</script> */
(() => {
  const { looks, reading, zoom } = window.tlCharts;
  const { token } = looks;
  const drawn = new Map(); // canvas -> { chart, spec }

  const line = (s) => ({
    tl: s,
    label: s.label,
    data: s.data,
    type: "line",
    tension: 0,
    pointRadius: 0,
    pointHitRadius: 8,
    pointHoverRadius: 3,
    pointHoverBackgroundColor: token("--tl-sheet"),
    pointHoverBorderWidth: 2,
    spanGaps: false,
    ...looks.roles[s.role ?? "line"](s),
  });
  const barFill = (s, running) =>
    running ? s.data.map((_, i) => (i === running.at ? looks.paleFill : looks.fill)(s.slot)) : looks.fill(s.slot);
  const bar = (s, _, spec) => ({
    tl: s,
    label: s.label,
    data: s.data,
    backgroundColor: s.states ? s.states.map((state) => token(looks.states[state])) : barFill(s, spec.running),
    borderColor: token("--tl-sheet"),
    borderWidth: s.states ? 0 : { top: 1 },
    borderSkipped: false,
    stack: "s",
    categoryPercentage: 0.82,
    barPercentage: 1,
    maxBarThickness: 34,
    order: 3,
  });

  const area = (s, i) => ({
    ...line(s),
    borderColor: token("--tl-sheet"),
    borderWidth: 1,
    backgroundColor: looks.fill(s.slot),
    pointHoverRadius: 0,
    fill: i ? "-1" : "origin",
    stack: "s",
  });
  /* Over a stack, and no part of it: the period before, what is not over yet. */
  const over = (s) => ({ ...line(s), order: 1, stack: s.role });

  const highest = (spec) => Math.max(0, ...spec.series.flatMap((s) => s.data));
  const scales = (spec, stacked) => ({
    x: {
      stacked,
      offset: true,
      border: { color: token("--tl-rule-strong") },
      grid: { display: false },
      ticks: {
        display: spec.xTicks !== false,
        color: token("--tl-axis"),
        maxRotation: 0,
        autoSkipPadding: 18,
        padding: 6,
      },
    },
    y: {
      stacked,
      beginAtZero: true,
      max: spec.max,
      border: { display: false },
      grid: { color: token("--tl-grid"), tickLength: 0 },
      // one width for every chart of a figure, so that they share their x
      afterFit: (axis) => {
        axis.width = 52;
      },
      ticks: {
        color: token("--tl-axis"),
        maxTicksLimit: spec.yTicks ?? 6,
        stepSize: spec.yStep ?? (spec.unit === "milliseconds" ? looks.wholeDurations(highest(spec)) : undefined),
        precision: ["usd", "percent", "ratio"].includes(spec.unit) ? undefined : 0,
        padding: 8,
        callback: looks.ticks[spec.unit],
      },
    },
  });

  const follow = (href) => {
    const target = new URL(href, location.href);
    if (target.origin === location.origin) location.assign(target);
  };
  /* Where a place in the chart leads: a bar's part filters, elsewhere the bucket is looked into. */
  const leads = (event, chart, spec) => {
    const [bar] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
    const part = bar && chart.data.datasets[bar.datasetIndex].tl.href;
    const [hit] = chart.getElementsAtEventForMode(event, "index", { intersect: false }, false);
    return part ?? (hit && spec.hrefs?.[hit.index]);
  };

  const axes = (spec) => {
    const part = { stack: bar, area }[spec.kind];
    const stacked = part !== undefined;
    const datasets = spec.series.map((s, i) => {
      if (!stacked) return line(s);
      return s.role === "previous" || s.role === "partial" ? over(s) : part(s, i, spec);
    });
    return {
      type: spec.kind === "stack" ? "bar" : "line",
      data: { labels: spec.labels, datasets },
      options: {
        maintainAspectRatio: false,
        animation: false,
        normalized: true,
        layout: { padding: { top: 6, right: 2 } },
        interaction: { mode: "index", intersect: false },
        // a finger reads the values; it has the table to go on from
        onClick: (event, _, chart) => {
          const href = event.native.pointerType === "touch" ? null : leads(event, chart, spec);
          if (href) follow(href);
        },
        onHover: (event, _, chart) => {
          event.native.target.style.cursor = leads(event, chart, spec) ? "pointer" : "";
        },
        scales: scales(spec, stacked),
        plugins: {
          legend: { display: false },
          tooltip: { enabled: false, external: reading.tooltip(spec) },
          annotation: {
            clip: false,
            annotations: Object.fromEntries((spec.marks ?? []).map((m, i) => [`mark${i}`, looks.mark(m)])),
          },
          zoom: spec.zoom === false ? {} : zoom.options(),
        },
      },
    };
  };

  const donut = (spec) => ({
    type: "doughnut",
    data: {
      labels: spec.series.map((s) => s.label),
      datasets: [
        {
          tl: { label: spec.measure },
          data: spec.series.map((s) => s.value),
          backgroundColor: spec.series.map((s) => looks.fill(s.slot)),
          borderColor: token("--tl-sheet"),
          hoverBorderColor: token("--tl-sheet"),
          borderWidth: 2,
          hoverOffset: 0,
        },
      ],
    },
    options: {
      cutout: "74%",
      maintainAspectRatio: false,
      animation: false,
      // a slice filters, like its row in the table beside it
      onClick: (_, [hit]) => hit && spec.series[hit.index].href && follow(spec.series[hit.index].href),
      onHover: (event, [hit]) => {
        event.native.target.style.cursor = hit && spec.series[hit.index].href ? "pointer" : "";
      },
      plugins: {
        legend: { display: false },
        tooltip: { enabled: false, external: reading.tooltip(spec) },
        zoom: {},
      },
    },
  });

  const draw = (canvas) => {
    const source = document.getElementById(canvas.dataset.chart);
    if (!source) return;
    const spec = JSON.parse(source.textContent);
    const before = drawn.get(canvas)?.chart;
    const hidden = before ? before.data.datasets.map((_, i) => !before.isDatasetVisible(i)) : [];
    const config = spec.kind === "donut" ? donut(spec) : axes(spec);
    const range =
      before && config.data.labels.length === before.data.labels.length && before.scales.x
        ? zoom.current(before)
        : null;
    before?.destroy();
    const chart = new Chart(canvas, { ...config, plugins: [reading.hairline] });
    hidden.forEach((isHidden, i) => isHidden && chart.hide(i));
    if (range) chart.zoomScale("x", range, "none");
    if (!before) listen(canvas);
    drawn.set(canvas, { chart, spec });
  };

  /* New figures of the same chart: zoom, hidden lines and what is pointed at stay as they are */
  const refresh = (canvas) => {
    const known = drawn.get(canvas);
    const spec = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
    const names = (of) => JSON.stringify([of.labels, of.series.map((s) => [s.label, s.role])]);
    if (!known || names(known.spec) !== names(spec)) return draw(canvas);
    const { datasets } = (spec.kind === "donut" ? donut(spec) : axes(spec)).data;
    Object.assign(known.spec, spec);
    known.chart.data.datasets.forEach((dataset, i) => Object.assign(dataset, datasets[i]));
    known.chart.update("none");
  };

  const listen = (canvas) => {
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => {
      const { chart, spec } = drawn.get(canvas);
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isZoom = spec.kind !== "donut" && spec.zoom !== false && zoom.press(chart, event);
      if (isZoom || reading.walk(chart, spec, event.key)) event.preventDefault();
    });
    canvas.addEventListener("blur", () => drawn.has(canvas) && reading.hide(drawn.get(canvas).chart));
  };

  const defaults = () => {
    Chart.defaults.font.family = token("--tl-font-sans");
    Chart.defaults.font.size = 11;
    // hover is marked behind the bar; its color stays
    Chart.defaults.hoverBackgroundColor = (_, options) => options.backgroundColor;
    Chart.defaults.hoverBorderColor = (_, options) => options.borderColor;
  };
  const drawAll = (root = document) => {
    defaults();
    for (const canvas of root.querySelectorAll("canvas[data-chart]")) draw(canvas);
  };
  const of = (element) => {
    const canvas = element.closest("figure")?.querySelector("canvas[data-chart]");
    return canvas && drawn.get(canvas);
  };

  /* ── Acts in a chart's frame ── */
  const toggleSeries = (button) => {
    const { chart } = of(button);
    const on = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!on));
    if (chart.config.type === "doughnut") chart.toggleDataVisibility(chart.data.labels.indexOf(button.dataset.series));
    chart.data.datasets.forEach((d, i) => d.tl.label === button.dataset.series && chart.setDatasetVisibility(i, !on));
    chart.update();
  };
  document.addEventListener("click", (event) => {
    const on = (name) => event.target.closest(`[data-${name}]`);
    const series = on("series");
    const act = on("zoom");
    const picture = on("chart-png");
    if (series) toggleSeries(series);
    if (act) zoom.acts[act.dataset.zoom](of(act).chart);
    if (picture) window.tlCharts.picture.save(picture.closest("figure"), (canvas) => drawn.get(canvas));
  });

  window.addEventListener("tl:theme", () => drawAll());
  document.addEventListener("tl:figures", (event) => {
    for (const canvas of event.target.querySelectorAll("canvas[data-chart]")) refresh(canvas);
  });
  document.addEventListener("htmx:load", (event) => event.target !== document.body && drawAll(event.target));
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    if (!drawn.has(event.target)) return;
    drawn.get(event.target).chart.destroy();
    drawn.delete(event.target);
  });
  document.fonts.ready.then(() => drawAll());
})();
