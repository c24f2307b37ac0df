// Bars and lines over hours, in the colours of day or night.
//   chart: { labels: [...], unit, digits, max, series: [{ name, type, data, color, night, dash, stack }] }
import { echarts } from "nicegui-echart";
import { watch } from "vue";
import { city, number } from "gampong-live";

export default {
  props: { chart: Object, label: String },
  template: `<div ref="chart" class="hours-chart" role="img" :aria-label="label"></div>`,
  mounted() {
    this.drawn = echarts.init(this.$refs.chart, null, { renderer: "svg" });
    this.resizing = new ResizeObserver(() => this.drawn.resize());
    this.resizing.observe(this.$refs.chart);
    this.stop = watch(() => [this.chart, city.night], this.draw, { immediate: true, deep: true });
  },
  unmounted() {
    this.stop();
    this.resizing.disconnect();
    this.drawn.dispose();
  },
  methods: {
    draw() {
      const { labels, unit, digits, max, scale, series } = this.chart;
      const ink = city.night ? "#a9b8c9" : "#5b6673";
      const rule = city.night ? "#2a3a4d" : "#e3e1da";
      const fontSize = 0.78 * parseFloat(getComputedStyle(document.documentElement).fontSize);
      const { fontFamily } = getComputedStyle(document.body);
      const text = (value) => (value === null || value === undefined ? "–" : `${number(value, digits)} ${unit}`);
      this.drawn.setOption(
        {
          animation: false,
          textStyle: { fontFamily, fontSize },
          grid: { left: 4, right: 16, top: series.length > 1 || unit ? 30 : 14, bottom: 2, containLabel: true },
          legend: {
            show: series.length > 1,
            type: "scroll",
            top: 0,
            left: unit ? 96 : 0,
            itemWidth: 20,
            textStyle: { color: ink, fontSize },
            pageTextStyle: { color: ink },
          },
          tooltip: { trigger: "axis", confine: true, valueFormatter: text },
          xAxis: {
            type: "category",
            data: labels,
            axisLabel: { color: ink, fontSize, hideOverlap: true },
            axisLine: { lineStyle: { color: rule } },
            axisTick: { show: false },
          },
          yAxis: {
            type: "value",
            name: unit,
            nameGap: 12,
            nameTextStyle: { color: ink, fontSize, align: "left" },
            scale,
            min: max === null || max === undefined ? null : 0,
            max: max ?? null,
            splitNumber: 3,
            axisLabel: { color: ink, fontSize, formatter: (value) => number(value, value % 1 ? 1 : 0) },
            splitLine: { lineStyle: { color: rule } },
          },
          series: series.map((one) => ({
            name: one.name,
            type: one.type,
            data: one.data,
            stack: one.stack,
            color: city.night ? one.night : one.color,
            barCategoryGap: "25%",
            symbol: one.type === "line" ? "circle" : undefined,
            symbolSize: 4,
            showSymbol: labels.length < 40,
            connectNulls: false,
            lineStyle: { width: 2, type: one.dash || "solid" },
          })),
        },
        { notMerge: true },
      );
    },
  },
};
