// What was reckoned of days, shared by the parts of a page; and how its numbers are written. The
// server sends it again when it is newer; the last stays, with its age, while it can't.
import { markRaw, reactive, watch } from "vue";
import { echarts } from "nicegui-echart";
import { age, city, number, span, t, timeOfDay, title } from "gampong-live";

const ZONE_MS = 7 * 3600000; // Western Indonesia Time, no daylight saving
const LONG_H = 10000; // "not before long"

export const days = reactive({ parking: null, waste: null, round: null, payments: null, deposits: null });
export const why = reactive({}); // name → {text, away}: why it couldn't be asked again
export const chosen = reactive({ period: "week", place: "" }); // place: "site/zone", empty: all

export function take(name, told) {
  if (told.figures) days[name] = markRaw(told.figures);
  why[name] = told.why ? { text: told.why, away: told.away } : null;
}

export const placeOf = ({ site, zone }) => (site || zone ? `${site}/${zone}` : "");

export function placeName(place) {
  const [site, zone] = place.split("/");
  return place ? `${title(zone)}, ${title(site)}` : t("days.everywhere");
}

// A share as a percentage; a dash for what nobody knows.
export function percent(share, digits = 0) {
  return share === null || share === undefined ? "–" : `${number(100 * share, digits)} %`;
}

export function rupiah(amount) {
  return `Rp ${number(Math.round(amount))}`;
}

// What an axis of amounts is written in: no step of it is less than one of these, so no two of its
// labels are alike, however small the amounts.
export function rupiahScale(most) {
  const [unit, name] = most < 1e4 ? [1, "rupiah"] : most < 1e7 ? [1e3, "thousand"] : [1e6, "million"];
  return {
    name: t(`parking.${name}`),
    minInterval: unit,
    axisLabel: { formatter: (value) => number(Math.round(value / unit)) },
  };
}

// With its sign: what is missing is red and begins with a minus.
export function difference(amount) {
  const sign = amount > 0 ? "+" : amount < 0 ? "−" : "";
  return `${sign}${number(Math.abs(Math.round(amount)))}`;
}

export function hours(value) {
  if (value >= LONG_H) return "…";
  return value < 3 ? number(value, 1) : number(value);
}

// "5 h (3–9)"
export function fullIn(said) {
  if (!said) return "–";
  if (said.hours >= LONG_H) return t("waste.not_soon");
  if (said.hours === 0) return t("waste.full_now");
  return `${hours(said.hours)} ${t("unit.h")} (${hours(said.hours_low)}–${hours(said.hours_high)})`;
}

export function day(timeMs, options = { weekday: "short", day: "numeric", month: "short" }) {
  const local = new Date(timeMs + ZONE_MS);
  return local.toLocaleDateString(city.setting.language, { timeZone: "UTC", ...options });
}

export const hourOf = (timeMs) => timeOfDay(timeMs, false);

// A day of the week, 0 is Monday.
export const weekday = (nth) => day((4 + nth) * 86400000 - ZONE_MS, { weekday: "short" });

// How old what was reckoned is, and why it isn't newer.
export function reckoned(name) {
  const found = days[name];
  const broken = why[name];
  const when = found ? t("days.reckoned", age(found.now_ms)) : "";
  if (!broken) return found ? when : t("days.reckoning");
  const said = broken.away ? t("days.store_away") : t("days.failed", broken.text);
  return found ? `${said} ${when}` : said;
}

export { age, city, number, span, t, timeOfDay, title };

// A chart that follows day and night, its data and its room: mixed into a component that has a
// `chart` ref and `option(look)`, and names in `follows()` what it is drawn from.
export const charted = {
  mounted() {
    this.chart = markRaw(echarts.init(this.$refs.chart, null, { renderer: "svg" }));
    this.resizing = new ResizeObserver(() => this.chart.resize());
    this.resizing.observe(this.$refs.chart);
    this.stop = watch(() => [...this.follows(), city.night], () => this.draw(), { immediate: true });
  },
  unmounted() {
    this.stop();
    this.resizing.disconnect();
    this.chart.dispose();
  },
  methods: {
    draw() {
      const style = getComputedStyle(document.documentElement);
      const look = {
        ink: city.night ? "#a9b8c9" : "#5b6673",
        rule: city.night ? "#2a3a4d" : "#e3e1da",
        blue: city.night ? "#56b4e9" : "#0072b2",
        orange: city.night ? "#e69f00" : "#d55e00",
        fontSize: 0.78 * parseFloat(style.fontSize),
      };
      const { fontFamily } = getComputedStyle(document.body);
      const text = { color: look.ink, fontSize: look.fontSize };
      this.chart.setOption(
        {
          animation: false,
          textStyle: { fontFamily, fontSize: look.fontSize },
          grid: { left: 4, right: 16, top: 30, bottom: 2, containLabel: true },
          ...this.option(look, {
            category: (data, boundaryGap) => ({
              type: "category",
              data,
              boundaryGap,
              axisLabel: { ...text, hideOverlap: true },
              axisLine: { lineStyle: { color: look.rule } },
              axisTick: { show: false },
            }),
            value: (more) => ({
              type: "value",
              splitLine: { lineStyle: { color: look.rule } },
              ...more,
              axisLabel: { ...text, ...more.axisLabel },
            }),
            legend: { top: 0, right: 0, itemWidth: 22, textStyle: text },
          }),
        },
        { notMerge: true },
      );
    },
  },
};
