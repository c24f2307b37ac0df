// What fires, the worst first, and an operator's answer to it.
import { age, city } from "gampong-live";

export default {
  props: { alerts: Array, words: Object, answers: Boolean, short: Boolean, more: String, warn: String },
  emits: ["answer", "more"],
  template: `
    <div class="alert-list" :class="{ short }">
      <p v-if="warn" class="warn" role="status">{{ warn }}</p>
      <p v-if="!alerts.length && !warn" class="empty calm">{{ words.calm }}</p>
      <article v-for="one in alerts" :key="one.key" :data-alert="one.key" :data-severity="one.severity"
        :class="{ muted: one.muted }">
        <b class="severity" :data-severity="one.severity"><span aria-hidden="true">{{ one.mark }}</span>
          {{ one.severity_said }}</b>
        <div class="what">
          <h3>{{ one.title }}<span v-if="one.value" class="value">{{ one.value }}</span></h3>
          <p class="where">{{ one.where }}</p>
          <p v-if="!short" class="advice">→ {{ one.advice }}
            <a v-if="one.runbook" :href="one.runbook" target="_blank" rel="noopener noreferrer">{{ words.runbook }}</a>
          </p>
          <p v-if="one.note" class="note">{{ one.note }}</p>
          <p v-if="said[one.key]" class="said" role="status" :class="{ wrong: said[one.key].bad }">{{ said[one.key].text }}</p>
          <form v-if="open === one.key" @submit.prevent="send(one)">
            <label>{{ kind === 'silence' ? words.silence_for : words.why }}
              <select v-if="kind === 'silence'" v-model.number="hours">
                <option v-for="choice in words.spans" :key="choice[0]" :value="choice[0]">{{ choice[1] }}</option>
              </select>
            </label>
            <label v-if="kind === 'silence'">{{ words.why }}</label>
            <input v-model="why" type="text" maxlength="200" required :aria-label="words.why" ref="why" />
            <button type="submit" class="primary">{{ kind === 'silence' ? words.silence : words.acknowledge }}</button>
            <button type="button" @click="open = null">{{ words.cancel }}</button>
          </form>
        </div>
        <div class="since"><time>{{ one.since }}</time><small>{{ city.now && age(one.since_ms) }}</small></div>
        <div v-if="answers && !short && open !== one.key" class="answers">
          <button type="button" data-answer="acknowledge" @click="ask(one, 'acknowledge')">{{ words.acknowledge }}</button>
          <button type="button" data-answer="silence" @click="ask(one, 'silence')">{{ words.silence }}</button>
        </div>
      </article>
      <p v-if="more" class="more"><a v-if="short" :href="words.all">{{ more }}</a>
        <button v-else type="button" @click="$emit('more')">{{ more }}</button></p>
    </div>`,
  data() {
    return { open: null, kind: "acknowledge", why: "", hours: 2, said: {} };
  },
  setup() {
    return { age, city };
  },
  methods: {
    ask(one, kind) {
      this.open = one.key;
      this.kind = kind;
      this.why = "";
      this.$nextTick(() => [this.$refs.why].flat()[0]?.focus());
    },
    send(one) {
      const { rule, device, site } = one;
      this.$emit("answer", { key: one.key, kind: this.kind, rule, device, site, why: this.why, hours: this.hours });
      this.open = null;
    },
    // From the server: what became of an answer.
    told(key, text, bad) {
      this.said = { [key]: { text, bad } };
    },
  },
};
