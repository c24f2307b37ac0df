// The share of occupied bays over the last hours, a line for each site.
import { echarts } from "nicegui-echart";
import { watch } from "vue";
import { city, t, timeOfDay, title } from "gampong-live";

const LINES = [
  { color: "#0072b2", night: "#56b4e9", type: "solid" },
  { color: "#d55e00", night: "#e69f00", type: "dashed" },
  { color: "#009e73", night: "#009e73", type: "dotted" },
  { color: "#cc79a7", night: "#cc79a7", type: "solid" },
];

const NOW_EVERY_MS = 5000;

// What the markers of each site say at this moment, as the last point of its line.
function sharesNow() {
  const counts = {};
  for (const { kind, site, state } of Object.values(city.devices)) {
    if (kind !== "parking_spot") continue;
    const count = (counts[site] ??= { free: 0, occupied: 0 });
    if (state in count) count[state] += 1;
  }
  return (site) => {
    const { free = 0, occupied = 0 } = counts[site] ?? {};
    return free + occupied ? occupied / (free + occupied) : null;
  };
}

export default {
  template: `
    <section class="panel occupancy">
      <h2>{{ t("page.occupancy") }} <small>{{ t("page.occupancy_note") }}</small></h2>
      <div ref="chart" class="chart" role="img" :aria-label="t('page.occupancy')"></div>
    </section>`,
  setup() {
    return { t };
  },
  mounted() {
    this.chart = echarts.init(this.$refs.chart, null, { renderer: "svg" });
    this.resizing = new ResizeObserver(() => this.chart.resize());
    this.resizing.observe(this.$refs.chart);
    this.stop = watch(() => [city.trend, city.night], this.draw, { immediate: true });
    this.drawing = setInterval(() => this.draw(), NOW_EVERY_MS);
  },
  unmounted() {
    clearInterval(this.drawing);
    this.stop();
    this.resizing.disconnect();
    this.chart.dispose();
  },
  methods: {
    draw() {
      const ink = city.night ? "#a9b8c9" : "#5b6673";
      const fontSize = 0.78 * parseFloat(getComputedStyle(document.documentElement).fontSize);
      const { fontFamily } = getComputedStyle(document.body);
      const grid = city.night ? "#2a3a4d" : "#e3e1da";
      const times = [...city.trend.times, city.now];
      const shareNow = sharesNow();
      const shares = Object.fromEntries(
        Object.entries(city.trend.shares).map(([site, share]) => [site, [...share, shareNow(site)]]),
      );
      const known = Object.values(shares).map((share) => share.findIndex((value) => value !== null));
      const first = Math.max(0, Math.min(...known.map((at) => (at < 0 ? times.length : at))));
      const shown = times.slice(first).map((time) => timeOfDay(time, false));
      this.chart.setOption(
        {
          animation: false,
          textStyle: { fontFamily, fontSize },
          grid: { left: 4, right: 24, top: 26, bottom: 2, containLabel: true },
          legend: { top: 0, right: 0, itemWidth: 22, textStyle: { color: ink, fontSize } },
          tooltip: { trigger: "axis", valueFormatter: (value) => (value === null ? "–" : `${value} %`) },
          xAxis: {
            type: "category",
            data: shown,
            boundaryGap: false,
            axisLabel: { color: ink, fontSize, hideOverlap: true },
            axisLine: { lineStyle: { color: grid } },
            axisTick: { show: false },
          },
          yAxis: {
            type: "value",
            min: 0,
            max: 100,
            interval: 50,
            axisLabel: { color: ink, fontSize, formatter: "{value} %" },
            splitLine: { lineStyle: { color: grid } },
          },
          series: Object.entries(shares).map(([site, share], index) => {
            const line = LINES[index % LINES.length];
            return {
              name: title(site),
              type: "line",
              showSymbol: shown.length === 1,
              data: share.slice(first).map((value) => (value === null ? null : Math.round(value * 100))),
              color: city.night ? line.night : line.color,
              lineStyle: { width: 2, type: line.type },
              areaStyle: { opacity: 0.08 },
            };
          }),
        },
        { notMerge: true },
      );
    },
  },
};
