import { age, city, number, ofKind, span, t } from "gampong-live";

export default {
  template: `
    <section class="panel gateways">
      <h2>{{ t("page.gateways") }}</h2>
      <p v-if="!gateways.length" class="empty">{{ t("page.no_data") }}</p>
      <article v-for="one in gateways" :key="one.id" :data-gateway="one.name" :data-state="one.state">
        <h3><i class="dot" :data-state="one.state"></i>{{ one.label }}
          <em>{{ t("state." + one.state) }}</em>
          <span class="behind"><small>{{ t("gateway.behind") }}</small>
            {{ one.fields.sealed_ms ? span(city.now - one.fields.sealed_ms) : "–" }}</span></h3>
        <dl>
          <div><dt>{{ t("gateway.lag") }}</dt><dd>{{ lag(one) }}</dd></div>
          <div><dt>{{ t("gateway.waiting") }}</dt><dd>{{ waiting(one) }}</dd></div>
          <div><dt>{{ t("gateway.stored") }}</dt><dd>{{ count(one, "stored") }}</dd></div>
          <div><dt>{{ t("gateway.rejected") }} + {{ t("gateway.dropped") }}</dt>
            <dd>{{ count(one, "rejected") }} + {{ count(one, "dropped") }}</dd></div>
          <div><dt>{{ t("gateway.ledger") }}</dt>
            <dd :class="{ wrong: one.fields.balanced === 0 }">{{ ledger(one) }}</dd></div>
        </dl>
      </article>
    </section>`,
  setup() {
    return { age, city, span, t };
  },
  computed: {
    // What needs somebody comes first: of two hundred, few are ever looked at.
    gateways() {
      const well = (one) => one.state === "online" && one.fields.balanced !== 0;
      return ofKind("gateway").sort((a, b) => well(a) - well(b));
    },
  },
  methods: {
    count(one, field) {
      const value = one.fields[field];
      return value === undefined ? "–" : number(value);
    },
    lag(one) {
      const ms = one.fields.lag_ms;
      return ms === undefined ? "–" : `${number(ms / 1000, 1)} ${t("unit.s")}`;
    },
    waiting(one) {
      const oldest = one.fields.oldest_waiting_s;
      const words = this.count(one, "waiting");
      return one.fields.waiting && oldest
        ? `${words} · ${t("gateway.oldest")} ${span(oldest * 1000)}`
        : words;
    },
    ledger(one) {
      const balanced = one.fields.balanced;
      if (balanced === undefined) return "–";
      return t(balanced ? "gateway.balanced" : "gateway.unbalanced");
    },
  },
};
