// Every bin: how full it is now, from the live city, and when it will be full, from its days.
import { shape } from "gampong-live/shapes.js";
import { age, chosen, city, days, fullIn, number, percent, reckoned, t, title } from "gampong-days";

const AT_ONCE = 300;
const KIND = "waste_container";

const Shape = {
  template: `<i class="mark-in-line" :data-state="state" v-html="shape('waste_container', state, level)" aria-hidden="true"></i>`,
  props: { state: String, level: Number },
  setup: () => ({ shape }),
};

export default {
  components: { Shape },
  template: `
    <section class="days bins-now">
      <div class="tiles">
        <article class="tile" data-count="due"><h2>{{ t("waste.due") }}</h2>
          <p class="figure"><b>{{ found ? number(found.due) : "–" }}</b><span>{{ t("tile.of", number(bins.length)) }}</span></p>
          <p class="age">{{ reckoned("waste") }}</p></article>
        <article v-for="state in ['full', 'unknown']" :key="state" class="tile" :data-count="state">
          <h2><i class="dot" :data-state="state"></i>{{ t("state." + state) }}</h2>
          <p class="figure"><b>{{ bins.length ? number(counted(state)) : "–" }}</b><span>{{ t("tile.of", number(bins.length)) }}</span></p>
          <p class="age">{{ newest ? t("tile.newest", age(newest)) : t("tile.never") }}</p></article>
        <article class="tile" data-count="visits"><h2>{{ t("waste.visits") }}</h2>
          <p class="figure"><b>{{ found ? number(done.visits) : "–" }}</b>
            <span v-if="found">{{ t("waste.for_little", number(done.wasted)) }}</span></p>
          <p class="age">{{ t("days." + chosen.period + "_long") }} · {{ reckoned("waste") }}</p></article>
        <article class="tile" data-count="overflow"><h2>{{ t("waste.overflow") }}</h2>
          <p class="figure"><b>{{ found ? number(done.overflow_h, 1) : "–" }}</b><span v-if="found">{{ t("unit.h") }} ·
            {{ t("waste.unknown_h", number(done.unknown_h, 1)) }}</span></p>
          <p class="age">{{ t("days." + chosen.period + "_long") }} · {{ reckoned("waste") }}</p></article>
      </div>
      <div class="panel">
        <h2>{{ t("waste.bins") }} <small>{{ t("parking.live") }}</small></h2>
        <div class="choose">
          <select v-model="zone" :aria-label="t('parking.zone')"><option value="">{{ t("days.everywhere") }}</option>
            <option v-for="place in zones" :key="place" :value="place">{{ title(place) }}</option></select>
          <label><input type="checkbox" v-model="dueOnly"> {{ t("waste.due_only") }}</label>
          <span role="group" :aria-label="t('days.period')"><button v-for="period in ['week', 'month']" :key="period" type="button"
            :data-period="period" :aria-pressed="chosen.period === period" @click="chosen.period = period">{{ t("days." + period) }}</button></span>
        </div>
        <p v-if="!bins.length" class="empty">{{ t("page.no_data") }}</p>
        <div v-else class="scroll tall" tabindex="0" :aria-label="t('waste.bins')">
          <table class="bins">
            <thead><tr><th>{{ t("waste.bin") }}</th><th>{{ t("waste.level") }}</th><th>{{ t("waste.full_in") }}</th>
              <th>{{ t("waste.today") }}</th><th>{{ t("waste.visits") }}</th><th>{{ t("waste.overflow") }}</th></tr></thead>
            <tbody><tr v-for="bin in shown" :key="bin.id" :data-bin="bin.name" :data-state="bin.state">
              <th scope="row"><Shape :state="bin.state" :level="bin.fields.filling_level"></Shape><span><b>{{ bin.label }}</b>
                <small>{{ title(bin.zone) }}</small></span></th>
              <td data-cell="level"><span class="level" :class="{ none: !known(bin) }" aria-hidden="true"><i v-if="known(bin)" :data-state="bin.state"
                  :style="{ width: 100 * bin.fields.filling_level + '%' }"></i></span>
                <b>{{ known(bin) ? percent(bin.fields.filling_level) : t("state." + bin.state) }}</b>
                <small>{{ known(bin) && bin.state !== "ok" ? t("state." + bin.state) + " · " : "" }}{{ bin.time_ms ? age(bin.time_ms) : t("tile.never") }}</small></td>
              <td data-cell="full_in">{{ fullIn(of(bin)?.full_in) }}</td>
              <td data-cell="due"><b v-if="of(bin)?.due" class="due">{{ t("waste.yes") }}</b>
                <small v-else-if="of(bin)?.why_not">{{ whyNot(of(bin).why_not) }}</small><span v-else>–</span></td>
              <td data-cell="visits">{{ of(bin) ? number(of(bin)[chosen.period].visits) : "–" }}
                <small v-if="of(bin)?.[chosen.period].wasted">{{ t("waste.for_little", number(of(bin)[chosen.period].wasted)) }}</small></td>
              <td data-cell="overflow">{{ of(bin) ? number(of(bin)[chosen.period].overflow_h, 1) + " " + t("unit.h") : "–" }}</td>
            </tr></tbody>
          </table>
        </div>
        <button v-if="hidden" type="button" @click="all = true">{{ t("waste.more", number(hidden)) }}</button>
      </div>
    </section>`,
  setup: () => ({ age, chosen, fullIn, number, percent, reckoned, t, title }),
  data: () => ({ zone: "", dueOnly: false, all: false }),
  computed: {
    found: () => days.waste,
    done() {
      return this.found[chosen.period];
    },
    bins: () => Object.values(city.devices).filter((mark) => mark.kind === KIND),
    byName: () => new Map((days.waste?.bins ?? []).map((bin) => [bin.device, bin])),
    newest() {
      return Math.max(0, ...this.bins.map((bin) => bin.time_ms));
    },
    zones() {
      return [...new Set(this.bins.map((bin) => bin.zone))].sort();
    },
    // What is worst stands first: fires, then who is due, then the fullest; what nobody knows before
    // what is known to be empty.
    sorted() {
      return this.bins
        .filter((bin) => (!this.zone || bin.zone === this.zone) && (!this.dueOnly || this.of(bin)?.due))
        .map((bin) => ({ bin, rank: this.rank(bin) }))
        .sort((a, b) => b.rank - a.rank || a.bin.name.localeCompare(b.bin.name))
        .map(({ bin }) => bin);
    },
    shown() {
      return this.all ? this.sorted : this.sorted.slice(0, AT_ONCE);
    },
    hidden() {
      return this.sorted.length - this.shown.length;
    },
  },
  methods: {
    of(bin) {
      return this.byName.get(bin.name);
    },
    known: (bin) => bin.fields.filling_level !== undefined && ["ok", "filling", "full", "burning"].includes(bin.state),
    counted(state) {
      return this.bins.filter((bin) => bin.state === state).length;
    },
    rank(bin) {
      if (bin.state === "burning") return 9;
      const level = this.known(bin) ? bin.fields.filling_level : 0.6;
      return (this.of(bin)?.due ? 2 : 0) + level;
    },
    whyNot(text) {
      const [kind] = text.split(":");
      return t(`waste.not_${kind.replaceAll(" ", "_")}`);
    },
  },
};
