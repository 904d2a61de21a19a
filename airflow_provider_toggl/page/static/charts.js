// Draws each chart from the table below it, and continues a search of deliveries that found nothing in its first part.
"use strict";
(() => {
  const SHADES = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--line-7", "--line-8"];
  const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const read = (figure) => {
    const heads = [...figure.querySelectorAll("thead th")].slice(1);
    const rows = [...figure.querySelectorAll("tbody tr")];
    const hours = rows.map((row) => Date.parse(row.querySelector("time").dateTime) / 1000);
    const columns = heads.map((head, index) => ({
      name: head.textContent,
      isLimit: head.hasAttribute("data-limit"),
      values: rows.map((row) => {
        const text = row.querySelectorAll("td")[index].textContent;
        return text === "" ? null : Number(text);
      }),
    }));
    return { hours, columns };
  };

  // Bars are stacked: each is drawn up to the sum of those below it, the highest first.
  const stack = (columns) => {
    const sums = columns[0].values.map(() => 0);
    return columns.map((column) => column.values.map((value, index) => (sums[index] += value ?? 0)));
  };

  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    if (!plot || typeof uPlot === "undefined") return;
    plot.replaceChildren();
    const { hours, columns } = read(figure);
    const isBars = figure.dataset.shape === "bars";
    const bars = columns.filter((column) => isBars && !column.isLimit);
    const tops = bars.length ? stack(bars) : [];
    const axis = { stroke: styleOf("--muted"), grid: { stroke: styleOf("--grid"), width: 1 }, ticks: { show: false } };
    const shown = (column) => (_plot, _value, _series, index) =>
      index == null ? "" : column.values[index] == null ? "-" : String(column.values[index]);
    const series = [];
    const data = [];
    const shadeOf = new Map(columns.filter((column) => !column.isLimit).map((column, index) => [column, SHADES[index % SHADES.length]]));
    [...bars].reverse().forEach((column) => {
      const color = styleOf(shadeOf.get(column));
      series.push({ label: column.name, stroke: color, fill: color, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 40] }), value: shown(column) });
      data.push(tops[bars.indexOf(column)]);
    });
    columns.filter((column) => !bars.includes(column)).forEach((column) => {
      // A limit has the color of the column that it limits.
      const limited = columns.find((other) => column.name === `limit of ${other.name}`);
      const color = styleOf(column.isLimit ? (shadeOf.get(limited) ?? "--limit") : shadeOf.get(column));
      series.push({ label: column.name, stroke: color, width: 2, dash: column.isLimit ? [6, 4] : [], points: { show: !column.isLimit, size: 4, fill: color }, value: shown(column) });
      data.push(column.values);
    });
    const clock = (seconds) => togglTimes.format(new Date(seconds * 1000), "hour");
    new uPlot(
      {
        width: Math.max(280, plot.clientWidth),
        height: 220,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), togglTimes.zone()),
        scales: { x: { range: (_plot, first, last) => [first - 2700, last + 2700] }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [{ ...axis, space: 70, values: [[86400, "{MMM} {D}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{MMM} {D}", null, null, null, null, null, 1]] }, { ...axis, size: 56 }],
        legend: { markers: { fill: (plotted, index) => (plotted.series[index].dash?.length ? null : plotted.series[index].stroke()) } },
        cursor: { y: false, drag: { x: false, y: false } },
        series: [{ label: "Hour", value: (_plot, seconds) => (seconds == null ? "" : clock(seconds)) }, ...series],
      },
      [hours, ...data],
      plot,
    );
    figure.dataset.drawn = "yes";
  };

  const drawAll = (root) => root.querySelectorAll("figure.chart").forEach(draw);
  drawAll(document);
  for (const change of ["themechange", "zonechange"]) document.addEventListener(change, () => drawAll(document));
  document.addEventListener("refreshed", (event) => event.target.matches("figure.chart") && draw(event.target));
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawAll(document), 150);
  });

  // A search that found nothing within its time limit continues. Without scripts, the link does it.
  const next = document.querySelector("[data-go-on] a.older");
  if (next) location.replace(next.href);
})();
