import { age, city, number, span, t } from "gampong-live";

export default {
  template: `
    <section class="tiles">
      <article v-for="tile in city.tiles" :key="tile.kind" class="tile" :data-tile="tile.kind">
        <h2>{{ t("tile." + tile.kind) }}</h2>
        <p class="figure">
          <b>{{ tile.number === null ? "–" : number(tile.number) }}</b>
          <span>{{ beside(tile) }}</span>
        </p>
        <div class="bar" aria-hidden="true">
          <i v-for="part in parts(tile)" :key="part.state" :data-state="part.state"
            :style="{ flexGrow: part.count }"></i>
        </div>
        <p class="parts">
          <span v-for="part in parts(tile)" :key="part.state" :data-part="part.state">
            <i class="dot" :data-state="part.state"></i>{{ number(part.count) }}
            {{ t("state." + part.state) }}</span>
        </p>
        <p class="age">{{ tile.newest_ms ? t("tile.newest", age(tile.newest_ms)) : t("tile.never") }}</p>
      </article>
    </section>`,
  setup() {
    return { age, city, number, t };
  },
  methods: {
    beside(tile) {
      if (tile.kind === "wifi_access_point") return t("tile.at_corners", number(tile.total));
      const total = t("tile.of", number(tile.total));
      if (tile.kind !== "gateway" || !tile.behind) return total;
      const behind = tile.behind_ms ? span(city.now - tile.behind_ms) : t("tile.never");
      return `${total} · ${t("tile.behind", behind)}`;
    },
    parts(tile) {
      return city.setting.states[tile.kind]
        .map((state) => ({ state, count: tile.states[state] }))
        .filter((part) => part.count);
    },
  },
};
